package form

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"mime"
	"mime/multipart"
	"os"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

var (
	// ErrMalformed is returned for what is not a form with a part data.
	ErrMalformed = errors.New("malformed form")

	// ErrTooLarge is returned for a form that is larger than the options allow.
	ErrTooLarge = errors.New("form too large")
)

// Options limits what [Read] reads. A zero field means its default.
type Options struct {
	// MaxBytes is the size of the whole form. Default 16 MiB.
	MaxBytes int64

	// MaxData is the size of the part data, which is held in memory. Default: MaxBytes.
	MaxData int64

	// MaxParts is the number of parts, with the part data and those that are ignored. Each may
	// have up to 16 KiB of names in memory. Default 1000.
	MaxParts int

	// MaxMemory is how many bytes of the files' content are held in memory, for all files
	// together. A file that does not fit goes to a temporary file. While it is read, a file may
	// take as much again. Default 1 MiB. With MaxBytes or more there are no temporary files.
	MaxMemory int64

	// TempDir is the directory of the temporary files. Default: [os.TempDir].
	TempDir string
}

// maxNames is how long the name, file name and type of a part may be together.
const maxNames = 16 << 10

func (o Options) withDefaults() Options {
	o.MaxBytes = min(cmp.Or(o.MaxBytes, 16<<20), math.MaxInt64-1)
	o.MaxData = min(cmp.Or(o.MaxData, o.MaxBytes), o.MaxBytes)
	o.MaxParts = cmp.Or(o.MaxParts, 1000)
	o.MaxMemory = min(cmp.Or(o.MaxMemory, 1<<20), o.MaxBytes)
	return o
}

// Form is a form that was read.
type Form struct {
	// Data is the content of the part data, unchecked.
	Data []byte

	// Files has the file parts 0, 1 and so on. It ends before the first number that is missing
	// or not a file, since no valid envelope refers to files after that.
	Files []*value.File

	temporary []string // paths of the temporary files
}

// Close removes the temporary files, after which some of the files cannot be opened. It may be
// called again.
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

// Read reads a form with the given content type. The caller must close it, unless there is an
// error, after which no temporary files are left.
//
// As in FormData the first of equal names counts, and a file part without a type is text/plain.
func Read(r io.Reader, contentType string, o Options) (*Form, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, fmt.Errorf("form: read: %w: content type %.80q", ErrMalformed, contentType)
	}
	o = o.withDefaults()
	limited := &limitReader{r: r, left: o.MaxBytes}
	f := &form{Form: new(Form), o: o, memory: o.MaxMemory, numbered: make(map[string]*value.File)}
	// The boundaries of JavaScript begin like this, those of other senders do not.
	f.javaScript = strings.HasPrefix(params["boundary"], "----")
	if err := f.read(multipart.NewReader(withEnd(limited), params["boundary"])); err != nil {
		return nil, errors.Join(fmt.Errorf("form: read: %w", limited.explain(err)), f.Close())
	}
	return f.Form, nil
}

// form is a form that is being read.
type form struct {
	*Form
	o          Options
	memory     int64                  // how many bytes more of content fit
	numbered   map[string]*value.File // the parts whose names are numbers; nil: not a file
	javaScript bool                   // it was written by a FormData
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

// file reads a file part into memory or, if it does not fit, into a temporary file.
func (f *form) file(h header, part io.Reader) (*value.File, error) {
	var start bytes.Buffer
	n, err := io.CopyN(&start, part, f.memory+1)
	switch {
	case err == nil:
		return f.spill(h, io.MultiReader(&start, part))
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	f.memory -= n
	return value.NewFile(h.fileName, h.typ, bytes.Clone(start.Bytes())), nil
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

// isNumber reports whether the name of a part is a decimal number, as for files.
func isNumber(name string) bool {
	number, err := strconv.Atoi(name)
	return err == nil && number >= 0 && strconv.Itoa(number) == name
}

// limitReader reads up to a limit, and remembers why reading ended.
type limitReader struct {
	r    io.Reader
	left int64
	err  error // of r, or ErrTooLarge; not io.EOF
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if int64(len(p))-1 > l.left {
		p = p[:l.left+1] // one byte more shows whether the form ends here
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, err = int(l.left), ErrTooLarge
	}
	l.left -= int64(n)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}

// withEnd makes io.EOF of a multipart.Reader mean that it has read the last boundary. A form
// that ends before returns another error, or else one that is cut off after a boundary would
// pass for a whole one. The line break at the end may be missing.
func withEnd(r io.Reader) io.Reader {
	return io.MultiReader(r, strings.NewReader("\r\n"), cutOff{})
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// explain returns the error of Read for an error of reading the parts.
func (l *limitReader) explain(err error) error {
	_, isFileError := errors.AsType[*fs.PathError](err)
	switch {
	case l.err != nil:
		return l.err
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return fmt.Errorf("%w: the header of a part", ErrTooLarge)
	case isFileError, errors.Is(err, ErrTooLarge), errors.Is(err, ErrMalformed):
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
