package value

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// File is a JavaScript File, or a Blob if it has no name. Its content is opened when it is
// sent or read, not before. The zero File is empty.
//
// A file stands in Go values as *File, at any place of an input, an output, or the data of
// an error; nil is null. Streams of events cannot carry files. A Blob is received under the
// name "blob", since the wire cannot tell the two apart.
//
// Over HTTP the content is read as it is sent, and a server keeps received files of more than
// 1 MiB per request on disk. They are removed when the handler has returned and its output has
// been sent: read or copy before what is needed longer. A client has the files of an output in
// memory, and over a socket a message is in memory with its files on both sides.
//
// A File is safe for concurrent use if the function that opens its content is, as long as its
// fields are not changed.
type File struct {
	// Name is the name that the sender has given the file. It may hold anything, slashes
	// included: never use it as a path. A Blob, which has none, is sent under the name "blob".
	Name string

	// Type is the media type, in printable ASCII. Empty means unknown, which is received as
	// application/octet-stream.
	Type string

	content []byte                        // if open is nil
	open    func() (io.ReadCloser, error) // nil: the content is in memory
	size    int64                         // goes with open
}

// NewFile returns a file of content in memory, which must not be changed from then on. A file
// without a name is a Blob; an empty type means unknown.
func NewFile(name, typ string, content []byte) *File {
	return &File{Name: name, Type: typ, content: content}
}

// NewFileFunc returns a file whose content is read from the reader that open returns, as it is
// sent, and is never in memory as a whole. Open is called each time the content is needed, such
// as for a retry, and may be called concurrently; the reader is closed by the caller of open.
// For content that can be read only once, open must return an error the second time.
//
// The size is that of the content in bytes, negative if it is not known. Content of another size
// than the given one cannot be sent.
func NewFileFunc(name, typ string, size int64, open func() (io.ReadCloser, error)) *File {
	return &File{Name: name, Type: typ, open: open, size: max(size, -1)}
}

// Open returns a reader of the content from its beginning. The caller must close it.
func (f *File) Open() (io.ReadCloser, error) {
	if f.open == nil {
		return io.NopCloser(bytes.NewReader(f.content)), nil
	}
	content, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("file %.80q: open: %w", f.Name, err)
	}
	return content, nil
}

// Bytes reads the whole content. The caller owns the result.
func (f *File) Bytes() ([]byte, error) {
	content, err := f.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, fmt.Errorf("file %.80q: read: %w", f.Name, err)
	}
	return data, nil
}

// Size returns the size of the content in bytes, -1 if it is not known. It is known for every
// file that was received.
func (f *File) Size() int64 {
	if f.open == nil {
		return int64(len(f.content))
	}
	return f.size
}
