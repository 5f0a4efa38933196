package form_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestWriteNames(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ name, typ, header, back, backType string }{
		"plain":        {"a.txt", "text/plain", `filename="a.txt"` + "\r\nContent-Type: text/plain", "", ""},
		"no name":      {"", "text/plain", `filename="blob"` + "\r\nContent-Type: text/plain", "blob", ""},
		"no type":      {"a", "", `filename="a"` + "\r\nContent-Type: application/octet-stream", "", "application/octet-stream"},
		"parameters":   {"a", `text/plain; charset="utf-8"`, "Content-Type: text/plain; charset=\"utf-8\"\r\n", "", ""},
		"quotes":       {`r "q" é.bin`, "a/b", `filename="r %22q%22 é.bin"`, "", ""},
		"line breaks":  {"a\r\nX: y\n\r", "a/b", `filename="a%0D%0AX: y%0A%0D"`, "", ""},
		"backslash":    {`a\`, "a/b", `filename="a\"`, "", ""},
		"percent":      {"100%", "a/b", `filename="100%"`, "", ""},
		"escape":       {"a%22b", "a/b", `filename="a%22b"`, `a"b`, ""}, // FormData cannot distinguish them either
		"no UTF-8":     {"a\xffb", "a/b", "filename=\"a\uFFFDb\"", "a\uFFFDb", ""},
		"type injects": {"a", "a/b\r\nX: y", "Content-Type: application/octet-stream\r\n\r\n", "", "application/octet-stream"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := value.NewFile(test.name, test.typ, []byte("c"))
			var text bytes.Buffer
			require.NoError(t, form.Write(&text, "x", []byte("{}"), []*value.File{file}))
			require.Contains(t, text.String(), test.header)

			want := recordedFile{Name: test.name, Type: test.typ, Base64: []byte("c")}
			if test.back != "" {
				want.Name = test.back
			}
			if test.backType != "" {
				want.Type = test.backType
			}
			requireFile(t, want, read(t, text.Bytes(), form.ContentType("x")).Files[0])
		})
	}
}

// An empty blob is read as an empty file, and so is one of an empty form.
func TestPE068EmptyFile(t *testing.T) {
	t.Parallel()
	boundary := form.Boundary()
	var text bytes.Buffer
	require.NoError(t, form.Write(&text, boundary, []byte(`{"json":{},"maps":[[]]}`), []*value.File{{}}))
	got := read(t, text.Bytes(), form.ContentType(boundary))
	var file *value.File
	require.NoError(t, decode(got, &file))
	requireFile(t, recordedFile{Name: "blob", Type: "application/octet-stream", Base64: []byte{}}, file)

	text.Reset()
	require.NoError(t, form.Write(&text, boundary, nil, nil))
	got = read(t, text.Bytes(), form.ContentType(boundary))
	require.Empty(t, got.Data)
	require.Empty(t, got.Files)
}

func TestBoundary(t *testing.T) {
	t.Parallel()
	first, second := form.Boundary(), form.Boundary()
	require.NotEqual(t, first, second)
	require.LessOrEqual(t, len(first), 70, "a rule of RFC 2046")
}

// Content that begins like the boundary stays content.
func TestContentLikeBoundary(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"\r\n--", "\r\n--bound", "--boundary-", "\r\n-", "\r\n\r\n", "\n--boundary", "\r\n--boundaryx"} {
		file := value.NewFile("a", "a/b", []byte(content))
		var text bytes.Buffer
		require.NoError(t, form.Write(&text, "boundary", []byte("{}"), []*value.File{file, file}))
		got := read(t, text.Bytes(), form.ContentType("boundary"))
		for _, file := range got.Files {
			requireFile(t, recordedFile{Name: "a", Type: "a/b", Base64: []byte(content)}, file)
		}
	}
}

// zeros is content that would not fit into memory.
type zeros struct {
	left, largest int64
	closed        bool
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	z.largest = max(z.largest, int64(len(p)))
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func (z *zeros) Close() error {
	z.closed = true
	return nil
}

// Content is copied in pieces. Each file is opened only when it is copied, and closed
// afterwards.
func TestWriteStreams(t *testing.T) {
	const size = 256 << 20
	content := &zeros{left: size}
	file := value.NewFileFunc("a", "", size, func() (io.ReadCloser, error) { return content, nil })
	last := value.NewFileFunc("b", "", -1, func() (io.ReadCloser, error) {
		require.True(t, content.closed)
		return io.NopCloser(strings.NewReader("last")), nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, form.Write(io.Discard, "x", []byte("{}"), []*value.File{file, last}))
	runtime.ReadMemStats(&after)
	require.Zero(t, content.left)
	require.LessOrEqual(t, content.largest, int64(64<<10))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// Content for a temporary file is not held in memory.
func TestReadStreams(t *testing.T) {
	const size = 64 << 20
	piped, pipe := io.Pipe()
	file := value.NewFileFunc("a", "", size, func() (io.ReadCloser, error) { return &zeros{left: size}, nil })
	done := make(chan error, 1)
	go func() {
		err := form.Write(pipe, "x", []byte("{}"), []*value.File{file})
		done <- errors.Join(err, pipe.Close())
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := form.Read(piped, typeX, form.Options{MaxBytes: math.MaxInt64, TempDir: t.TempDir()})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.NoError(t, <-done)
	require.Equal(t, int64(size), f.Files[0].Size())
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/4))
	require.NoError(t, f.Close())
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	file := func(size int64, r io.Reader, err error) *value.File {
		return value.NewFileFunc("a", "", size, func() (io.ReadCloser, error) { return io.NopCloser(r), err })
	}
	tests := map[string]struct {
		file *value.File
		is   error
		want string
	}{
		"open":      {file(1, nil, fs.ErrPermission), fs.ErrPermission, `form: write: file 1: file "a": open: permission denied`},
		"read":      {file(9, iotest.ErrReader(broken), nil), broken, "form: write: file 1: broken"},
		"too short": {file(9, strings.NewReader("abc"), nil), nil, "form: write: file 1: the content has 3 bytes, not 9 as announced"},
		"too long":  {file(2, strings.NewReader("abc"), nil), nil, "form: write: file 1: the content has more than the 2 bytes announced"},
		"endless":   {file(2, endless{1}, nil), nil, "form: write: file 1: the content has more than the 2 bytes announced"},
		"stuck":     {file(-1, endless{0}, nil), io.ErrNoProgress, "form: write: file 1: multiple Read calls return no data or error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			err := form.Write(&text, "x", []byte("{}"), []*value.File{{}, test.file, {}})
			require.EqualError(t, err, test.want)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			_, err = form.Read(&text, typeX, form.Options{})
			require.ErrorIs(t, err, form.ErrMalformed, "the written form is incomplete")
		})
	}
}

// endless returns n bytes for each read.
type endless struct{ n int }

func (e endless) Read([]byte) (int, error) { return e.n, nil }

// The writer's error is returned, and opened files are closed.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	whole := len(written(t, "{}", "content"))
	for room := range whole {
		content := &zeros{left: 7}
		file := value.NewFileFunc("name", "a/b", 7, func() (io.ReadCloser, error) { return content, nil })
		err := form.Write(&narrow{room: room, err: broken}, "x", []byte("{}"), []*value.File{file})
		require.ErrorIs(t, err, broken)
		require.True(t, content.closed || content.left == 7)
	}
}

// narrow is a writer that accepts some bytes and then fails.
type narrow struct {
	room int
	err  error
}

func (n *narrow) Write(p []byte) (int, error) {
	if len(p) > n.room {
		taken := n.room
		n.room = 0
		return taken, n.err
	}
	n.room -= len(p)
	return len(p), nil
}
