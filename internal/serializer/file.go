package serializer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// ErrFile says that a value holds a file where only JSON can be sent, such as in an
// event of an iterator. Files go with the inputs and outputs of calls.
var ErrFile = errors.New("a file cannot be sent here, only in the input or output of a call")

// File is a JavaScript File, or a Blob if it has no name. Its content is opened when it
// is sent or read, not before. The zero File is empty.
//
// In Go values a file stands as *File, at any place; nil is null. A Blob is received
// under the name "blob", since the wire cannot tell the two apart.
//
// A File is safe for concurrent use as far as what opens its content is, and as long as
// nobody changes its fields.
type File struct {
	// Name is the name that the sender gave. It may hold anything, also slashes: never use
	// it as a path. A Blob, which has none, is sent under the name "blob".
	Name string

	// Type is the media type, printable ASCII. Empty means unknown, which is received as
	// application/octet-stream.
	Type string

	content []byte                        // if open is nil
	open    func() (io.ReadCloser, error) // nil: the content is in memory
	size    int64                         // goes with open
}

// NewFile makes a file from content in memory, which must not be changed from then on.
func NewFile(name, typ string, content []byte) *File {
	return &File{Name: name, Type: typ, content: content}
}

// NewFileFunc makes a file whose content is what open gives, read as it is sent and never
// held in memory as a whole. Open is called each time that the content is needed, such as
// when a call is tried again; whoever has called it closes what it gave. Content that can be
// read only once should give an error the second time. Size is the length of the content in
// bytes, negative if it is not known. Content of another length than that cannot be sent.
func NewFileFunc(name, typ string, size int64, open func() (io.ReadCloser, error)) *File {
	return &File{Name: name, Type: typ, open: open, size: max(size, -1)}
}

// Open gives the content, from its begin. The caller closes it.
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

// Bytes reads the whole content. The result is the caller's.
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

// Size is the length of the content in bytes, -1 if it is not known.
func (f *File) Size() int64 {
	if f.open == nil {
		return int64(len(f.content))
	}
	return f.size
}

// check reports whether the file can be sent.
func (f *File) check() error {
	for i := range len(f.Type) {
		if f.Type[i] < ' ' || f.Type[i] > '~' {
			return fmt.Errorf("the type %.80q of a file is not printable ASCII", f.Type)
		}
	}
	return nil
}

func encodeFile(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	given, err := exported(v)
	if err != nil {
		return err
	}
	if err := e.file(given.(*File), nil); err != nil {
		return err
	}
	e.buf = append(e.buf, "{}"...)
	return nil
}

// file adds a file to maps. It stands at the place at hand or, if there is a rest of the
// path, below that. Each segment of the rest has a comma before.
func (e *encoder) file(f *File, rest []byte) error {
	if !e.form {
		return ErrFile
	}
	if err := f.check(); err != nil {
		return err
	}
	start := len(e.maps)
	e.maps = append(e.appendPath(e.maps), rest...)
	e.maps = append(bracketed(e.maps, start), "],"...)
	e.files = append(e.files, f)
	return nil
}

// bracketed opens a list with the elements from start on, each of which has a comma before.
func bracketed(list []byte, start int) []byte {
	if len(list) == start {
		return append(list, '[')
	}
	list[start] = '['
	return list
}

func decodeFile(d *decoder, v reflect.Value, at *mark) {
	switch {
	case at.is(typeFile):
		v.Set(reflect.ValueOf(d.file(at)))
	case d.null():
		v.SetZero()
	default:
		d.mismatch("file", at)
	}
}

// file reads the file at a mark instead of the JSON that stands there.
func (d *decoder) file(at *mark) *File {
	d.skip()
	return d.marks.files[^at.typ]
}

var errFileByValue = errors.New("a file stands as *File, not as File")

func encodeFileByValue(*encoder, reflect.Value) error { return errFileByValue }

func decodeFileByValue(d *decoder, _ reflect.Value, _ *mark) {
	d.skip()
	d.fail(fmt.Errorf("serializer: decode: %w", errFileByValue))
}
