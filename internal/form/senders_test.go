package form_test

import (
	"bytes"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
)

// TestSenders reads forms as libraries of other languages write them.
func TestSenders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		contentType string
		parts       []string // header and content, lines ended by LF
		want        []recordedFile
	}{
		"React Native on iOS": {
			"multipart/form-data; boundary=zKwZ9bRpXa5gqY8Qk3dMs0tUVn7LhJfCeEyP1oI2",
			[]string{
				"content-disposition: form-data; name=\"data\"\n\n{}",
				"content-disposition: form-data; name=\"0\"; filename=\"foto é.jpg\"; filename*=utf-8''foto%20%C3%A9.jpg\ncontent-type: image/jpeg\n\nJ",
				"content-type: image/png\ncontent-disposition: form-data; name=\"1\"; filename=\"b.png\"\n\nP",
			},
			[]recordedFile{{Name: "foto é.jpg", Type: "image/jpeg", Base64: []byte("J")}, {Name: "b.png", Type: "image/png", Base64: []byte("P")}},
		},
		"React Native on Android, by OkHttp": {
			"multipart/form-data; boundary=2e1f5a1c-8e9f-4a63-9d0e-6f0f4c1a7b11",
			[]string{
				"content-disposition: form-data; name=\"data\"\nContent-Length: 2\n\n{}",
				"content-disposition: form-data; name=\"0\"; filename=\"a %22b%22 \\c.txt\"\ncontent-type: text/plain\nContent-Length: 1\n\nx",
			},
			[]recordedFile{{Name: `a "b" \c.txt`, Type: "text/plain", Base64: []byte("x")}},
		},
		".NET": {
			`multipart/form-data; boundary="4f3ea9c0-6c1c-4b7c-9a5e-0d5f8a1b2c3d"`,
			[]string{
				"Content-Type: text/plain; charset=utf-8\nContent-Disposition: form-data; name=data\n\n{}",
				"Content-Type: application/pdf\nContent-Disposition: form-data; name=0; filename=bill.pdf; filename*=utf-8''bill.pdf\n\nP",
				"Content-Disposition: form-data; name=1; filename=\"=?utf-8?B?w6kucG5n?=\"; filename*=utf-8''%C3%A9.png\n\nQ",
				"Content-Disposition: form-data; name=2; filename=\"a b.txt\"; filename*=utf-8''a%20b.txt\n\nR",
				"Content-Type: application/octet-stream\nContent-Disposition: form-data; name=3\n\nS",
			},
			[]recordedFile{
				{Name: "bill.pdf", Type: "application/pdf", Base64: []byte("P")}, {Name: "é.png", Type: "text/plain", Base64: []byte("Q")},
				{Name: "a b.txt", Type: "text/plain", Base64: []byte("R")}, {Name: "", Type: "application/octet-stream", Base64: []byte("S")},
			},
		},
		".NET with JSON content": {
			`multipart/form-data; boundary="x"`,
			[]string{
				"Content-Type: application/json; charset=utf-8\nContent-Disposition: form-data; name=data\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"=?utf-8?B?w6kucG5n?=\"\n\nQ",
			},
			[]recordedFile{{Name: "é.png", Type: "text/plain", Base64: []byte("Q")}},
		},
		"Java, Apache HttpClient": {
			"multipart/form-data; charset=UTF-8; boundary=Zk0-_pQ7Wc1Yb6Lh",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"a \\\"b\\\".bin\"\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n\x00\xff",
				"Content-Disposition: form-data; name=\"1\"; filename=\"?.bin\"; filename*=\"UTF-8''%C3%A9.bin\"\nContent-Type: application/octet-stream\n\ny",
			},
			[]recordedFile{{Name: `a "b".bin`, Type: "application/octet-stream", Base64: []byte("\x00\xff")}, {Name: "é.bin", Type: "application/octet-stream", Base64: []byte("y")}},
		},
		"Java, Spring": {
			"multipart/form-data;boundary=o-Mx1_RrK1dT6y",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\nContent-Type: text/plain;charset=UTF-8\nContent-Length: 2\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"=?UTF-8?Q?=C3=A9.txt?=\"; filename*=UTF-8''%C3%A9.txt\nContent-Type: text/plain\nContent-Length: 1\n\nz",
			},
			[]recordedFile{{Name: "é.txt", Type: "text/plain", Base64: []byte("z")}},
		},
		"Java, Jersey": {
			"multipart/form-data;boundary=Boundary_1_1234567890_1700000000000",
			[]string{
				"Content-Type: text/plain\nContent-Disposition: form-data; name=\"data\"\n\n{}",
				"Content-Type: text/csv\nContent-Disposition: form-data; filename=\"t;1.csv\"; modification-date=\"Tue, 14 Nov 2023 22:13:20 GMT\"; size=1; name=\"0\"\n\n,",
			},
			[]recordedFile{{Name: "t;1.csv", Type: "text/csv", Base64: []byte(",")}},
		},
		"Python": {
			"multipart/form-data; boundary=5f0c1bd2a3f44c0e9e4ad8f26f4c3b17",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename*=utf-8''%E2%82%AC.txt\n\ne",
				"Content-Disposition: form-data; name=\"1\"; filename*=iso-8859-1'en'%A3.txt\n\nf",
			},
			[]recordedFile{{Name: "€.txt", Type: "text/plain", Base64: []byte("e")}, {Name: "£.txt", Type: "text/plain", Base64: []byte("f")}},
		},
		"curl": {
			"multipart/form-data; boundary=------------------------d74496d66958873e",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"a\\\"b.txt\"\nContent-Type: text/plain\n\nc",
			},
			[]recordedFile{{Name: `a"b.txt`, Type: "text/plain", Base64: []byte("c")}},
		},
		"a browser, with backslashes": {
			"multipart/form-data; boundary=----WebKitFormBoundaryABC",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"a\\\\b\\\"\nContent-Type: text/plain\n\nc",
			},
			[]recordedFile{{Name: `a\\b\`, Type: "text/plain", Base64: []byte("c")}},
		},
		"a path of Windows": {
			"multipart/form-data; boundary=x",
			[]string{
				"content-disposition: FORM-DATA ;name = \"data\" ;\n\n{}",
				"CONTENT-DISPOSITION: form-data; NAME=\"0\"; FileName=\"\\\\server\\share\\a.txt\"\n\nc",
			},
			[]recordedFile{{Name: `\\server\share\a.txt`, Type: "text/plain", Base64: []byte("c")}},
		},
		"a bad extended name": {
			"multipart/form-data; boundary=x",
			[]string{
				"Content-Disposition: form-data; name=\"data\"\n\n{}",
				"Content-Disposition: form-data; name=\"0\"; filename=\"a.txt\"; filename*=koi8-r''%C1.txt\n\nc",
			},
			[]recordedFile{{Name: "a.txt", Type: "text/plain", Base64: []byte("c")}},
		},
	}
	for name, test := range tests {
		for ending, newline := range map[string]string{"CRLF": "\r\n", "LF": "\n"} {
			t.Run(name+", "+ending, func(t *testing.T) {
				t.Parallel()
				_, boundary, _ := strings.Cut(test.contentType, "boundary=")
				boundary = strings.Trim(boundary, `"`)
				var text strings.Builder
				text.WriteString("a preamble" + newline)
				for _, part := range test.parts {
					header, content, _ := strings.Cut(part, "\n\n")
					text.WriteString("--" + boundary + newline + strings.ReplaceAll(header, "\n", newline) + newline + newline + content + newline)
				}
				text.WriteString("--" + boundary + "--" + newline + "an epilogue" + newline)
				got := read(t, []byte(text.String()), test.contentType)
				require.Equal(t, "{}", string(got.Data))
				require.Len(t, got.Files, len(test.want))
				for i, want := range test.want {
					requireFile(t, want, got.Files[i])
				}
			})
		}
	}
}

// TestStandardLibrary reads forms that mime/multipart has written.
func TestStandardLibrary(t *testing.T) {
	t.Parallel()
	names := []string{"a.txt", `q "uoted".txt`, `back\slash`, `both\"`, `\\server\share`, "é ; filename=x", "100%", ""}
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	require.NoError(t, w.WriteField("data", "{}"))
	for i, name := range names[:len(names)-1] {
		part, err := w.CreateFormFile(string(rune('0'+i)), name)
		require.NoError(t, err)
		_, err = part.Write([]byte("c"))
		require.NoError(t, err)
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="7"`}, "Content-Type": {"application/octet-stream"}})
	require.NoError(t, err)
	_, err = part.Write([]byte("c"))
	require.NoError(t, err)
	require.NoError(t, w.Close())

	got, err := form.Read(&text, w.FormDataContentType(), form.Options{})
	require.NoError(t, err)
	require.Len(t, got.Files, len(names))
	for i, name := range names {
		requireFile(t, recordedFile{Name: name, Type: "application/octet-stream", Base64: []byte("c")}, got.Files[i])
	}
}
