package form

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	dataName    = "data"
	blobName    = "blob" // the name of files without one
	unknownType = "application/octet-stream"
)

// Boundary returns a boundary between the parts of a form. It is random, so that it is in no
// content.
func Boundary() string { return "----formdata-" + rand.Text() }

// ContentType returns the content type of a form with a boundary that [Boundary] has returned.
func ContentType(boundary string) string { return "multipart/form-data; boundary=" + boundary }

// Write writes a form. Data is the part data, the envelope of package serializer; files are the
// files in its order. The content of the files is copied as it is read.
//
// An error leaves the form cut off, also if a file cannot be read or is not of its announced
// size. The caller must make sure that the receiver does not take it for a whole one.
func Write(w io.Writer, boundary string, data []byte, files []*value.File) error {
	start := "--" + boundary + "\r\nContent-Disposition: form-data; name=\""
	if err := write(w, []byte(start+dataName+"\"\r\n\r\n"), data, []byte("\r\n")); err != nil {
		return fmt.Errorf("form: write: %w", err)
	}
	for i, f := range files {
		if err := writeFile(w, start+strconv.Itoa(i), f); err != nil {
			return fmt.Errorf("form: write: file %d: %w", i, err)
		}
	}
	if err := write(w, []byte("--"+boundary+"--\r\n")); err != nil {
		return fmt.Errorf("form: write: %w", err)
	}
	return nil
}

func writeFile(w io.Writer, start string, f *value.File) (err error) {
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	name, typ := cmp.Or(f.Name, blobName), cmp.Or(printable(f.Type), unknownType)
	err = write(w, []byte(start+"\"; filename=\""+escapeName(name)+"\"\r\nContent-Type: "+typ+"\r\n\r\n"))
	if err != nil {
		return err
	}
	size := f.Size()
	limit := int64(math.MaxInt64)
	if size >= 0 && size < limit {
		limit = size + 1 // one byte more shows that it is too long
	}
	n, err := io.Copy(w, io.LimitReader(&progressReader{r: content}, limit))
	switch {
	case err != nil:
		return err
	case size >= 0 && n > size:
		return fmt.Errorf("the content has more than the %d bytes announced", size)
	case n < size:
		return fmt.Errorf("the content has %d bytes, not %d as announced", n, size)
	}
	return write(w, []byte("\r\n"))
}

// maxEmptyReads is how many reads in a row may return neither bytes nor an error.
const maxEmptyReads = 100

// progressReader fails with [io.ErrNoProgress] if r would be read forever.
type progressReader struct {
	r     io.Reader
	empty int
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n != 0 || err != nil {
		p.empty = 0
		return n, err
	}
	if p.empty++; p.empty >= maxEmptyReads {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

// write writes pieces one after the other.
func write(w io.Writer, pieces ...[]byte) error {
	for _, piece := range pieces {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// printable returns a media type that can be in a header. Others are dropped, as in JavaScript.
func printable(typ string) string {
	if strings.IndexFunc(typ, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return ""
	}
	return typ
}

var (
	nameEscapes   = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A")
	nameUnescapes = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n")
)

// escapeName escapes a name for a header. As in FormData a % is not escaped, so that a name with
// %22 in it is received as another one.
func escapeName(name string) string {
	return nameEscapes.Replace(strings.ToValidUTF8(name, "\uFFFD"))
}

// unescapeName returns the name in a header.
func unescapeName(text string) string {
	return nameUnescapes.Replace(strings.ToValidUTF8(text, "\uFFFD"))
}
