package form_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// vector is a recorded form: its parts and, if the original wrote it, its text.
type vector struct {
	Name, ContentType string
	BodyBase64        []byte
	Value             json.RawMessage
	Entries           []entry
}

type entry struct {
	Name string
	Text *string
	File *recordedFile
}

type recordedFile struct {
	Name, Type string
	Base64     []byte
}

type vectors struct{ FormData, FormDataErrors []vector }

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("../serializer/testdata/serializer.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(data, &v))
	for _, form := range v.FormData {
		for _, e := range form.Entries {
			if e.File != nil && e.File.Type == "" {
				e.File.Type = "application/octet-stream" // the entries are those before writing
			}
		}
	}
	return v
}

// recorded returns a form and its content type. If the vector has no text, the standard
// library writes it.
func recorded(t testing.TB, v vector) (text []byte, contentType string) {
	t.Helper()
	if v.BodyBase64 != nil {
		return v.BodyBase64, v.ContentType
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, e := range v.Entries {
		header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + e.Name + `"`}}
		var content []byte
		if e.File != nil {
			header["Content-Disposition"][0] += `; filename="` + e.File.Name + `"`
			header.Set("Content-Type", e.File.Type)
			content = e.File.Base64
		} else {
			content = []byte(*e.Text)
		}
		part, err := w.CreatePart(header)
		require.NoError(t, err)
		_, err = part.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes(), w.FormDataContentType()
}

// Forms of the original are read as the original reads them.
func TestVectorsRead(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).FormData {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			text, contentType := recorded(t, v)
			got := read(t, text, contentType)
			files := 0
			for _, e := range v.Entries {
				if e.Name == "data" {
					require.Equal(t, *e.Text, string(got.Data))
				}
				if e.File != nil {
					number, err := strconv.Atoi(e.Name)
					require.NoError(t, err)
					requireFile(t, *e.File, got.Files[number])
					files++
				}
			}
			require.Len(t, got.Files, files)
		})
	}
}

// A form that is read from the original's text is written as the same text, which the
// standard library can read.
func TestVectorsWrite(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).FormData {
		if v.BodyBase64 == nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			got := read(t, v.BodyBase64, v.ContentType)
			_, params, err := mime.ParseMediaType(v.ContentType)
			require.NoError(t, err)
			require.Equal(t, v.ContentType, form.ContentType(params["boundary"]))
			var text bytes.Buffer
			require.NoError(t, form.Write(&text, params["boundary"], got.Data, got.Files))
			require.Equal(t, string(v.BodyBase64), text.String())
			requireStandardReads(t, v, &text, params["boundary"])
		})
	}
}

// requireStandardReads checks the parts that mime/multipart reads.
func requireStandardReads(t *testing.T, v vector, text io.Reader, boundary string) {
	t.Helper()
	parts := multipart.NewReader(text, boundary)
	for _, e := range v.Entries {
		part, err := parts.NextRawPart()
		require.NoError(t, err)
		require.Equal(t, e.Name, part.FormName())
		content, err := io.ReadAll(part)
		require.NoError(t, err)
		if e.File == nil {
			require.Equal(t, *e.Text, string(content))
			continue
		}
		require.Equal(t, string(e.File.Base64), string(content))
		require.Equal(t, e.File.Type, part.Header.Get("Content-Type"))
	}
	_, err := parts.NextRawPart()
	require.Equal(t, io.EOF, err)
}

// This package or the serializer refuses each form that the original refuses. The test
// covers SE-005 for maps.
func TestVectorsErrors(t *testing.T) {
	t.Parallel()
	here := map[string]bool{"no data part": true, "data part is a file": true}
	for _, v := range readVectors(t).FormDataErrors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			text, contentType := recorded(t, v)
			got, err := form.Read(bytes.NewReader(text), contentType, form.Options{})
			if here[v.Name] {
				require.ErrorIs(t, err, form.ErrMalformed)
				return
			}
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, got.Close()) })
			var malformed *serializer.MalformedError
			require.ErrorAs(t, decode(got, new(any)), &malformed)
		})
	}
}

// decode decodes the value of a form, like a handler.
func decode(got *form.Form, into any) error {
	v, err := new(serializer.Serializer).FormValue(got.Data, got.Files)
	if err != nil {
		return err
	}
	return v.Decode(into)
}

// A form is the same after it was read, made a value, encoded and written again.
func TestVectorsValue(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, v := range readVectors(t).FormData {
		if v.BodyBase64 == nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			got := read(t, v.BodyBase64, v.ContentType)
			value, err := s.FormValue(got.Data, got.Files)
			require.NoError(t, err)

			encoded, err := s.Encode(value)
			require.NoError(t, err)
			boundary := form.Boundary()
			var again bytes.Buffer
			require.NoError(t, form.Write(&again, boundary, encoded.JSON, encoded.Files))
			_, params, err := mime.ParseMediaType(v.ContentType)
			require.NoError(t, err)
			require.Equal(t, string(v.BodyBase64), strings.ReplaceAll(again.String(), boundary, params["boundary"]))
		})
	}
}

// read reads a form whose files fit into memory.
func read(t *testing.T, text []byte, contentType string) *form.Form {
	t.Helper()
	f, err := form.Read(bytes.NewReader(text), contentType, form.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func requireFile(t *testing.T, want recordedFile, got *value.File) {
	t.Helper()
	require.NotNil(t, got)
	content, err := got.Bytes()
	require.NoError(t, err)
	require.Equal(t, want, recordedFile{Name: got.Name, Type: got.Type, Base64: content},
		"content: %s", base64.StdEncoding.EncodeToString(content))
	require.Equal(t, int64(len(content)), got.Size())
}
