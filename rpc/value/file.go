package value

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// File is a JavaScript File, or a Blob if it has no name. Its content is opened only when it is
// sent or read. The zero File is empty.
//
// A *File may be used anywhere in an input, an output, or the data of an error; nil is null.
// Events cannot contain files. A Blob is received with the name "blob", because the wire format
// does not distinguish the two.
//
// Over HTTP the content is read while it is sent, and a server stores received files of more
// than 1 MiB per request on disk. They are removed when the handler has returned and its output
// has been sent: read or copy content that is needed longer before that. A client keeps the
// files of an output in memory, and over a socket a message is kept in memory with its files on
// both sides.
//
// A File is safe for concurrent use if the function that opens its content is, as long as its
// fields are not changed.
type File struct {
	// Name is the name of the file, as set by the sender. It may contain any characters,
	// including slashes: do not use it as a path. A Blob, which has none, is sent with the
	// name "blob".
	Name string

	// Type is the media type, in printable ASCII. Empty means unknown, which is received as
	// application/octet-stream.
	Type string

	content []byte                        // if open is nil
	open    func() (io.ReadCloser, error) // nil if the content is in memory
	size    int64                         // set if open is
}

// NewFile returns a file with content in memory, which must not be changed afterwards. A file
// without a name is a Blob; an empty type means unknown.
func NewFile(name, typ string, content []byte) *File {
	return &File{Name: name, Type: typ, content: content}
}

// NewFileFunc returns a file whose content is read, while it is sent, from a reader that open
// returns; it is never completely in memory. open is called each time the content is needed, for
// example for a retry, and may be called concurrently; its caller closes the reader. If the
// content can be read only once, open must return an error the second time.
//
// size is the size of the content in bytes; a negative size means that it is not known. If the
// content has another size, it cannot be sent.
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

// Size returns the size of the content in bytes, or -1 if it is not known. The size of a
// received file is always known.
func (f *File) Size() int64 {
	if f.open == nil {
		return int64(len(f.content))
	}
	return f.size
}
