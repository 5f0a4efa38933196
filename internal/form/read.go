package form

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

var (
	// ErrMalformed is returned when a body is not a form with a part named data.
	ErrMalformed = errors.New("malformed form")

	// ErrTooLarge is returned when a form is larger than the options allow.
	ErrTooLarge = errors.New("form too large")
)

// Form is a form that was read.
type Form struct {
	// Data is the text of the part data, unchecked.
	Data []byte

	// Files has the file parts 0, 1 and so on. The list ends before the first number that is
	// missing or a text, since no valid envelope places a file beyond that.
	Files []*value.File

	temporary []string // paths
}

// Close removes the temporary files. After it the content of some files is gone; which, is
// not promised. It may be called again.
func (f *Form) Close() error {
	var failed error
	for _, path := range f.temporary {
		if err := os.Remove(path); err != nil {
			failed = errors.Join(failed, fmt.Errorf("form: close: %w", err))
		}
	}
	f.temporary = nil
	return failed
}

// Read reads a form whose header content-type is given. The caller closes it, unless there
// is an error: then nothing is left.
//
// As in FormData the first of equal names counts. A file part without a type is text/plain.
func Read(r io.Reader, contentType string, o Options) (*Form, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, fmt.Errorf("form: read: %w: content type %.80q", ErrMalformed, contentType)
	}
	o = o.withDefaults()
	m := &meter{r: r, left: o.MaxBytes}
	f := &form{Form: new(Form), o: o, memory: o.MaxMemory, numbered: make(map[string]*value.File)}
	// JavaScript's boundaries begin like this, and those of other senders do not.
	f.javaScript = strings.HasPrefix(params["boundary"], "----")
	if err := f.read(multipart.NewReader(withEnd(m), params["boundary"])); err != nil {
		return nil, errors.Join(fmt.Errorf("form: read: %w", m.explain(err)), f.Close())
	}
	return f.Form, nil
}

// form is a form that is being read.
type form struct {
	*Form
	o          Options
	memory     int64                  // how much more content may stay there
	numbered   map[string]*value.File // parts by name, if that is a number; nil for a text
	javaScript bool                   // the sender is a FormData
}

func (f *form) read(parts *multipart.Reader) error {
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if err == io.EOF { // see withEnd
			break
		}
		if err != nil {
			return err
		}
		if n == f.o.MaxParts {
			return fmt.Errorf("%w: more than %d parts", ErrTooLarge, f.o.MaxParts)
		}
		if err := f.part(part); err != nil {
			return err
		}
	}
	if f.Data == nil {
		return fmt.Errorf("%w: no part named data", ErrMalformed)
	}
	for {
		file := f.numbered[strconv.Itoa(len(f.Files))]
		if file == nil {
			return nil
		}
		f.Files = append(f.Files, file)
	}
}

func (f *form) part(part *multipart.Part) error {
	h, err := parseHeader(part.Header, f.javaScript)
	if err != nil {
		return err
	}
	if h.name == dataName && f.Data == nil {
		return f.data(h, part)
	}
	if _, again := f.numbered[h.name]; again || !isNumber(h.name) {
		return nil // NextRawPart skips it
	}
	f.numbered[h.name] = nil
	if !h.isFile {
		return nil
	}
	file, err := f.file(h, part)
	f.numbered[h.name] = file
	return err
}

func (f *form) data(h header, part io.Reader) error {
	if h.isFile {
		return fmt.Errorf("%w: the part data is a file", ErrMalformed)
	}
	data, err := io.ReadAll(io.LimitReader(part, f.o.MaxData+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > f.o.MaxData {
		return fmt.Errorf("%w: the part data has more than %d bytes", ErrTooLarge, f.o.MaxData)
	}
	f.Data = data
	return nil
}

// file reads a file part into memory or, if it does not fit there, into a temporary file.
func (f *form) file(h header, part io.Reader) (*value.File, error) {
	var begin bytes.Buffer
	n, err := io.CopyN(&begin, part, f.memory+1)
	switch {
	case err == nil:
		return f.spill(h, io.MultiReader(&begin, part))
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	f.memory -= n
	return value.NewFile(h.fileName, h.typ, bytes.Clone(begin.Bytes())), nil
}

// spill writes content to a temporary file.
func (f *form) spill(h header, content io.Reader) (*value.File, error) {
	file, err := os.CreateTemp(f.o.TempDir, "durable-iterator-*")
	if err != nil {
		return nil, err
	}
	path := file.Name()
	f.temporary = append(f.temporary, path)
	size, err := io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return value.NewFileFunc(h.fileName, h.typ, size, func() (io.ReadCloser, error) { return os.Open(path) }), nil
}

// isNumber reports whether the name of a part is a number as the sender writes it.
func isNumber(name string) bool {
	number, err := strconv.Atoi(name)
	return err == nil && number >= 0 && strconv.Itoa(number) == name
}
