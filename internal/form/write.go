package form

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	dataName    = "data"
	blobName    = "blob" // of a file without a name
	unknownType = "application/octet-stream"
)

// Boundary makes the text that separates the parts of a form. It is random, so that no
// content has it.
func Boundary() string { return "----formdata-" + rand.Text() }

// ContentType is the media type of a form with a boundary that Boundary made.
func ContentType(boundary string) string { return "multipart/form-data; boundary=" + boundary }

// Write writes a form in one pass. Data and files are those of a [serializer.Encoded]. Of
// the files' content only what is being copied is in memory.
//
// After an error the text is cut off, also when a file cannot be read or has not the size
// that it announced: the receiver must be kept from taking it for a whole one.
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
	n, err := io.Copy(w, content)
	if err != nil {
		return err
	}
	if size := f.Size(); size >= 0 && n != size {
		return fmt.Errorf("the content has %d bytes, not %d as announced", n, size)
	}
	return write(w, []byte("\r\n"))
}

// write writes texts one after the other.
func write(w io.Writer, texts ...[]byte) error {
	for _, text := range texts {
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// printable returns a media type if a header may contain it. Otherwise the file has none, as
// in JavaScript.
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

// escapeName writes a name for a header. A % is left as it is, so that a name that has %22
// of its own comes out as another one: that is how FormData does it.
func escapeName(name string) string {
	return nameEscapes.Replace(strings.ToValidUTF8(name, "\uFFFD"))
}

// unescapeName reads a name from a header.
func unescapeName(text string) string {
	return nameUnescapes.Replace(strings.ToValidUTF8(text, "\uFFFD"))
}
