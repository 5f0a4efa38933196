package form

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"strings"
)

// meter reads no more than is allowed, and remembers why the reading ended.
type meter struct {
	r    io.Reader
	left int64
	err  error // of r, or ErrTooLarge; not io.EOF
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if int64(len(p))-1 > m.left {
		p = p[:m.left+1] // one byte more shows whether the form ends here
	}
	n, err := m.r.Read(p)
	if int64(n) > m.left {
		n, err = int(m.left), ErrTooLarge
	}
	m.left -= int64(n)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

// withEnd makes io.EOF of a multipart.Reader mean that it saw the last boundary: the text
// itself returns another error at its end, or else one that is cut off behind a boundary
// would pass for a whole one. A text may lack the line break at its end.
func withEnd(r io.Reader) io.Reader {
	return io.MultiReader(r, strings.NewReader("\r\n"), cutOff{})
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// explain tells from an error of reading a form whose fault it was.
func (m *meter) explain(err error) error {
	_, isFileError := errors.AsType[*fs.PathError](err)
	switch {
	case m.err != nil:
		return m.err
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return fmt.Errorf("%w: the header of a part", ErrTooLarge)
	case isFileError, errors.Is(err, ErrTooLarge), errors.Is(err, ErrMalformed):
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
