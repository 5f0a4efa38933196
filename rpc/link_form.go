package rpc

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// setForm makes a value with its files the body of a request. A small one is made
// at once, so that the call fails before anything is sent if a file cannot be read.
func setForm(r *http.Request, e serializer.Encoded) error {
	boundary := form.Boundary()
	r.Header.Set(headerContentType, form.ContentType(boundary))
	r.ContentLength = formLength(boundary, e)
	r.GetBody = func() (io.ReadCloser, error) { return newFormReader(boundary, e), nil }
	if 0 <= r.ContentLength && r.ContentLength <= formHeld {
		var text bytes.Buffer
		if err := writeForm(&text, boundary, e); err != nil {
			return err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil }
	}
	var err error
	r.Body, err = r.GetBody()
	return err
}

// formReader is the text of a form, which is made as it is read. Only what is on
// its way is in memory.
type formReader struct {
	boundary string
	encoded  serializer.Encoded
	reader   *io.PipeReader
	writer   *io.PipeWriter
	begin    sync.Once     // write runs from the first Read on
	done     chan struct{} // closed when it has returned, or will not run
}

func newFormReader(boundary string, e serializer.Encoded) *formReader {
	f := &formReader{boundary: boundary, encoded: e, done: make(chan struct{})}
	f.reader, f.writer = io.Pipe()
	return f
}

func (f *formReader) Read(p []byte) (int, error) {
	f.begin.Do(func() { go f.write() })
	return f.reader.Read(p)
}

// Close waits until no file is being read any more.
func (f *formReader) Close() error {
	f.begin.Do(func() { close(f.done) })
	_ = f.reader.Close() // never fails
	<-f.done
	return nil
}

func (f *formReader) write() {
	defer close(f.done)
	_ = f.writer.CloseWithError(writeForm(f.writer, f.boundary, f.encoded)) // never fails
}
