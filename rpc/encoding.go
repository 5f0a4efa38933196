package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// newSerializer returns a serializer. It panics if customs contradict each other.
func newSerializer(customs []value.Serializer) *serializer.Serializer {
	s, err := serializer.New(customs...)
	if err != nil {
		panic(fmt.Sprintf("rpc: Serializers: %v", err))
	}
	return s
}

// encodeValue encodes a value that may contain files.
func encodeValue(s *serializer.Serializer, v any) (serializer.Encoded, error) {
	if isVoid(v) {
		v = value.Undefined{}
	}
	return s.Encode(v)
}

// encodeInput encodes the input of a call, which cannot be sent later either if that fails.
func encodeInput(s *serializer.Serializer, v any) (serializer.Encoded, error) {
	encoded, err := encodeValue(s, v)
	if err != nil {
		err = peer.Final(err)
	}
	return encoded, err
}

// appendValue appends the envelope of a value to dst.
func appendValue(dst []byte, s *serializer.Serializer, v any) ([]byte, error) {
	if isVoid(v) {
		v = value.Undefined{}
	}
	return s.Append(dst, v)
}

const formType = "multipart/form-data"

// isJSONBody reports whether the headers are those of an encoded value. With a
// content-disposition, any body is a file.
func isJSONBody(header http.Header) bool {
	contentType := strings.ToLower(header.Get("Content-Type"))
	return header.Get("Content-Disposition") == "" &&
		(contentType == "" || strings.HasPrefix(contentType, "application/json"))
}

// isFormBody reports whether the headers are those of a form, which has a value with files.
func isFormBody(header http.Header) bool {
	return header.Get(headerDisposition) == "" &&
		strings.HasPrefix(strings.ToLower(header.Get(headerContentType)), formType)
}

// readForm reads a value with its files, some of which may be on disk until the form is closed.
// The form is nil if there is an error.
func readForm(r io.Reader, contentType string, o form.Options, s *serializer.Serializer) (value.Value, *form.Form, error) {
	f, err := form.Read(r, contentType, o)
	if err != nil {
		return value.Value{}, nil, err
	}
	v, err := s.FormValue(f.Data, f.Files)
	if err != nil {
		return value.Value{}, nil, errors.Join(err, f.Close())
	}
	return v, f, nil
}

// readFormToMemory is like readForm, but keeps all files in memory, so there is no form to close.
func readFormToMemory(r io.Reader, contentType string, limit int64, s *serializer.Serializer) (value.Value, error) {
	v, _, err := readForm(r, contentType, form.Options{MaxBytes: limit, MaxMemory: limit}, s)
	return v, err
}

// writeForm writes an encoded value with its files. It recovers from panics of the application's
// code, which opens and reads the files.
func writeForm(w io.Writer, boundary string, e serializer.Encoded) (err error) {
	defer bridge.RecoverTo(&err)
	return form.Write(w, boundary, e.JSON, e.Files)
}

// formLength returns the number of bytes that writeForm writes, or -1 if the size of a file is not
// known.
func formLength(boundary string, e serializer.Encoded) int64 {
	var length byteCount
	empty := make([]*value.File, len(e.Files))
	for i, f := range e.Files {
		if f.Size() < 0 {
			return -1
		}
		length += byteCount(f.Size())
		empty[i] = value.NewFile(f.Name, f.Type, nil)
	}
	_ = form.Write(&length, boundary, e.JSON, empty) // from memory to memory
	return int64(length)
}

// byteCount counts the bytes that are written to it.
type byteCount int64

func (n *byteCount) Write(p []byte) (int, error) {
	*n += byteCount(len(p))
	return len(p), nil
}

// formHeld is how many bytes of a form are buffered before anything is sent. If a file cannot be
// read until then, an error can be sent instead.
const formHeld = 64 << 10

// peerBody returns the body of a message of the peer protocol and sets its headers; an encoded
// value without files has none. The content of files is read into memory.
func peerBody(header http.Header, e serializer.Encoded) (peer.Body, error) {
	header.Del(headerContentType)
	header.Del(headerDisposition)
	if len(e.Files) == 0 {
		return peer.Body{JSON: e.JSON}, nil
	}
	var text bytes.Buffer
	boundary := form.Boundary()
	if err := writeForm(&text, boundary, e); err != nil {
		return peer.Body{}, err
	}
	header.Set(headerContentType, form.ContentType(boundary))
	return peer.Body{Bytes: text.Bytes()}, nil
}

// isPeerForm reports whether the body of a message of the peer protocol is a form.
func isPeerForm(header http.Header, b peer.Body) bool { return b.Bytes != nil && isFormBody(header) }

// readPeerForm reads the form in a message of the peer protocol.
func readPeerForm(header http.Header, b peer.Body, s *serializer.Serializer) (value.Value, error) {
	return readFormToMemory(bytes.NewReader(b.Bytes), header.Get(headerContentType), int64(len(b.Bytes)), s)
}

// plainText returns the text of a body that is not an encoded value: a file, or a JSON string that
// servers send as a message for people.
func plainText(b peer.Body) (text string, plain bool) {
	if b.Bytes != nil {
		return string(b.Bytes), true
	}
	return text, b.JSON != nil && json.Unmarshal(b.JSON, &text) == nil
}
