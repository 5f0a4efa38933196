package form_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const typeX = "multipart/form-data; boundary=x"

// part returns a part with a header and the content c.
func part(header string) string { return "--x\r\n" + header + "\r\n\r\nc\r\n" }

const (
	dataPart = "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{}\r\n"
	end      = "--x--\r\n"
)

// TestNames compares the names in the headers of a part with those that Node reads.
func TestNames(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ header, name, typ string }{
		"no type":           {`Content-Disposition: form-data; name="0"; filename="a"`, "a", "text/plain"},
		"escapes":           {"content-disposition: form-data; name=\"0\"; filename=\"a%0d%0A%22%25%41\"\r\ncontent-type: text/plain;charset=UTF-8", "a\r\n\"%25%41", "text/plain;charset=UTF-8"},
		"backslashes":       {`Content-Disposition: form-data; name="0"; filename="a\\b\"`, `a\\b\`, "text/plain"},
		"path":              {`Content-Disposition: form-data; name="0"; filename="../../etc/passwd"`, "../../etc/passwd", "text/plain"},
		"empty":             {`Content-Disposition: form-data; name="0"; filename=""`, "", "text/plain"},
		"semicolon":         {`Content-Disposition: form-data; name="0"; filename="a; b=c"`, "a; b=c", "text/plain"},
		"no UTF-8":          {"Content-Disposition: form-data; name=\"0\"; filename=\"\xff\"", "\uFFFD", "text/plain"},
		"escaped number":    {`Content-Disposition: form-data; name="0"; filename="😀%"`, "😀%", "text/plain"},
		"empty type":        {"Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nContent-Type:", "a", ""},
		"odd type":          {"Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nContent-Type: \xff", "a", ""},
		"type before":       {"Content-Type: a/b\r\nContent-Disposition: form-data; name=\"0\"; filename=\"a\"", "a", "a/b"},
		"other header":      {"Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nX-A: b", "a", "text/plain"},
		"transfer encoding": {"Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nContent-Transfer-Encoding: quoted-printable", "a", "text/plain"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(part(test.header)+dataPart+end), typeX)
			require.Equal(t, "{}", string(got.Data))
			require.Len(t, got.Files, 1)
			requireFile(t, recordedFile{Name: test.name, Type: test.typ, Base64: []byte("c")}, got.Files[0])
		})
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	file := func(number, content string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + number + "\"; filename=\"f\"\r\n\r\n" + content + "\r\n"
	}
	text := func(name, content string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n"
	}
	tests := map[string]struct {
		text string
		want []string // the files' contents
	}{
		"none":                  {dataPart + end, nil},
		"in order":              {dataPart + file("0", "a") + file("1", "b") + end, []string{"a", "b"}},
		"in another order":      {file("1", "b") + dataPart + file("0", "a") + end, []string{"a", "b"}},
		"one is missing":        {dataPart + file("2", "c") + file("0", "a") + end, []string{"a"}},
		"a text instead":        {dataPart + file("0", "a") + text("1", "t") + file("2", "c") + end, []string{"a"}},
		"the first is missing":  {dataPart + file("1", "b") + end, nil},
		"the first counts":      {dataPart + file("0", "a") + file("0", "b") + text("0", "t") + text("data", "5") + end, []string{"a"}},
		"the first is a text":   {dataPart + text("0", "t") + file("0", "a") + end, nil},
		"no numbers":            {dataPart + file("00", "a") + file("+1", "a") + file("-1", "a") + file("", "a") + file("x", "a") + file("1e1", "a") + end, nil},
		"large numbers":         {dataPart + file("4000000000", "a") + file("99999999999999999999", "a") + end, nil},
		"text before the parts": {"preamble\r\n" + dataPart + end, nil},
		"text after the parts":  {dataPart + end + "--x\r\nepilogue", nil},
		"no line break at end":  {dataPart + "--x--", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(test.text), typeX)
			require.Equal(t, "{}", string(got.Data))
			var contents []string
			for _, f := range got.Files {
				content, err := f.Bytes()
				require.NoError(t, err)
				contents = append(contents, string(content))
			}
			require.Equal(t, test.want, contents)
		})
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, contentType string }{
		"nothing":             {"", typeX},
		"no parts":            {end, typeX},
		"no data":             {part(`Content-Disposition: form-data; name="0"; filename="a"`) + end, typeX},
		"data is a file":      {part(`Content-Disposition: form-data; name="data"; filename="a"`) + end, typeX},
		"text behind a value": {dataPart + part(`Content-Disposition: form-data; name="0" x; filename="a"`) + end, typeX},
		"value without name":  {dataPart + part(`Content-Disposition: form-data; "0"`) + end, typeX},
		"blank in a token":    {dataPart + part(`Content-Disposition: form-data; name=a b`) + end, typeX},
		"name not ended":      {dataPart + part(`Content-Disposition: form-data; name="0`) + end, typeX},
		"file name not ended": {dataPart + part(`Content-Disposition: form-data; name="0"; filename="`) + end, typeX},
		"no name":             {dataPart + part(`Content-Disposition: form-data`) + end, typeX},
		"no disposition":      {dataPart + part(`Content-Type: text/plain`) + end, typeX},
		"attachment":          {dataPart + part(`Content-Disposition: attachment; name="0"`) + end, typeX},
		"no header":           {dataPart + "--x\r\nno colon\r\n\r\nc\r\n" + end, typeX},
		"control character":   {dataPart + part("Content-Disposition: form-data; name=\"0\"; filename=\"\x01\"") + end, typeX},
		"other boundary":      {dataPart + end, "multipart/form-data; boundary=y"},
		"no boundary":         {dataPart + end, "multipart/form-data"},
		"empty boundary":      {dataPart + end, `multipart/form-data; boundary=""`},
		"two boundaries":      {dataPart + end, "multipart/form-data; boundary=x; boundary=y"},
		"another type":        {dataPart + end, "multipart/mixed; boundary=x"},
		"no type":             {dataPart + end, ""},
		"bad type":            {dataPart + end, "multipart/form-data; boundary"},
		"long boundary":       {"--" + strings.Repeat("x", 9000) + "\r\n", "multipart/form-data; boundary=" + strings.Repeat("x", 9000)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Read(strings.NewReader(test.text), test.contentType, form.Options{})
			require.ErrorIs(t, err, form.ErrMalformed)
			require.NotErrorIs(t, err, form.ErrTooLarge)
			require.ErrorContains(t, err, "form: read: ")
			require.Nil(t, got)
		})
	}
}

// A text that ends too early is not accepted.
func TestTruncated(t *testing.T) {
	t.Parallel()
	text := dataPart + part(`Content-Disposition: form-data; name="0"; filename="a"`) + end
	for i := range len(text) - len("\r\n") {
		_, err := form.Read(strings.NewReader(text[:i]), typeX, form.Options{})
		require.ErrorIs(t, err, form.ErrMalformed, "%q", text[:i])
	}
	read(t, []byte(text), typeX)
}

// The reader's error is returned unchanged, wherever it happens.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	text := dataPart + part(`Content-Disposition: form-data; name="0"; filename="a"`) + end
	for i := range len(text) - len("\r\n") {
		_, err := form.Read(io.MultiReader(strings.NewReader(text[:i]), iotest.ErrReader(broken)), typeX, form.Options{})
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, form.ErrMalformed)
	}
}

// requireEmpty checks that no temporary file is left.
func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	text := written(t, `{"json":[{},{},{}]}`, strings.Repeat("a", 100), strings.Repeat("b", 5000), "c")
	text = bytes.TrimSuffix(text, []byte("\r\n")) // so that the last byte is the last one needed
	exact := form.Options{MaxBytes: int64(len(text)), MaxData: 19, MaxParts: 4, MaxMemory: 1}
	tests := map[string]func(*form.Options){
		"text":  func(o *form.Options) { o.MaxBytes-- },
		"half":  func(o *form.Options) { o.MaxBytes /= 2 },
		"data":  func(o *form.Options) { o.MaxData-- },
		"parts": func(o *form.Options) { o.MaxParts-- },
	}
	for name, lower := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := exact
			o.TempDir = t.TempDir()
			f, err := form.Read(bytes.NewReader(text), typeX, o)
			require.NoError(t, err)
			require.NoError(t, f.Close())

			lower(&o)
			f, err = form.Read(bytes.NewReader(text), typeX, o)
			require.ErrorIs(t, err, form.ErrTooLarge)
			require.NotErrorIs(t, err, form.ErrMalformed)
			require.Nil(t, f)
			requireEmpty(t, o.TempDir)
		})
	}
}

// Headers cannot fill the memory, whatever the limit of the size is.
func TestNamesTooLarge(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 16<<10)
	tests := map[string]string{
		"file name":      part(`Content-Disposition: form-data; name="0"; filename="` + long + `"`),
		"name":           part(`Content-Disposition: form-data; name="` + long + `n"`),
		"type":           part("Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nContent-Type: " + long),
		"another header": part("Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nX-A: " + strings.Repeat(long, 700)),
		"many headers":   part("Content-Disposition: form-data; name=\"0\"; filename=\"a\"" + strings.Repeat("\r\nX: y", 20_000)),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := form.Read(strings.NewReader(dataPart+text+end), typeX, form.Options{MaxBytes: 1 << 30})
			require.ErrorIs(t, err, form.ErrTooLarge)
		})
	}
}

// Content that does not fit into memory is in temporary files until Close.
func TestTemporaryFiles(t *testing.T) {
	t.Parallel()
	contents := []string{strings.Repeat("a", 40), strings.Repeat("b", 61), strings.Repeat("c", 60), "", "d"}
	text := written(t, `{}`, contents...)
	dir := t.TempDir()
	f, err := form.Read(bytes.NewReader(text), typeX, form.Options{MaxMemory: 100, TempDir: dir})
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "the second file and the last one")
	for i, content := range contents {
		require.Equal(t, int64(len(content)), f.Files[i].Size())
		for range 2 {
			got, err := f.Files[i].Bytes()
			require.NoError(t, err)
			require.Equal(t, content, string(got))
		}
	}
	require.NoError(t, f.Close())
	requireEmpty(t, dir)
	_, err = f.Files[1].Open()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, f.Close(), "again")
}

// The largest options do not overflow.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	o := form.Options{
		MaxBytes: math.MaxInt64, MaxData: math.MaxInt64, MaxParts: math.MaxInt, MaxMemory: math.MaxInt64,
		TempDir: filepath.Join(t.TempDir(), "missing"),
	}
	f, err := form.Read(bytes.NewReader(written(t, `{}`, "a", strings.Repeat("b", 2<<20))), typeX, o)
	require.NoError(t, err)
	require.Equal(t, "{}", string(f.Data))
	require.Equal(t, int64(2<<20), f.Files[1].Size())
	require.NoError(t, f.Close())
}

func TestTemporaryFilesFail(t *testing.T) {
	t.Parallel()
	text := written(t, `{}`, "more than memory")
	o := form.Options{MaxMemory: 1, TempDir: filepath.Join(t.TempDir(), "missing")}
	_, err := form.Read(bytes.NewReader(text), typeX, o)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotErrorIs(t, err, form.ErrMalformed, "it is not the sender's fault")

	o.TempDir = t.TempDir()
	f, err := form.Read(bytes.NewReader(text), typeX, o)
	require.NoError(t, err)
	left, err := os.ReadDir(o.TempDir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(o.TempDir, left[0].Name())))
	require.ErrorIs(t, f.Close(), fs.ErrNotExist, "somebody else removed it")
}

// written returns a form with the boundary x and files with the given contents.
func written(t testing.TB, data string, contents ...string) []byte {
	t.Helper()
	var files []*value.File
	for _, content := range contents {
		files = append(files, value.NewFile("name", "a/b", []byte(content)))
	}
	var text bytes.Buffer
	require.NoError(t, form.Write(&text, "x", []byte(data), files))
	return text.Bytes()
}
