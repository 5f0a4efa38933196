package rpc

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// isJSONBody tells whether the headers announce a body with an encoded value. A
// content-disposition makes a file of any body.
func isJSONBody(header http.Header) bool {
	contentType := strings.ToLower(header.Get("Content-Type"))
	return header.Get("Content-Disposition") == "" &&
		(contentType == "" || strings.HasPrefix(contentType, "application/json"))
}

// readBody reads the input of a request from its body. Its errors are *Error.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, s *serializer.Serializer) (value.Value, error) {
	if !isJSONBody(r.Header) {
		return readForeignBody(r)
	}
	if r.ContentLength > limit {
		return value.Value{}, &Error{Code: CodePayloadTooLarge}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return value.Value{}, &Error{Code: CodePayloadTooLarge, cause: err}
	}
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return readInput(data, s)
}

// readForeignBody accepts a body that is no encoded value only if it is empty.
func readForeignBody(r *http.Request) (value.Value, error) {
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); err {
	case io.EOF:
		return value.Value{}, nil
	case nil:
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	default:
		return value.Value{}, malformedRequest(err)
	}
}

// readQuery reads the input of a GET request: the last data of its query. Other
// parameters need not even be well-formed.
func readQuery(u *url.URL, s *serializer.Serializer) (value.Value, error) {
	data := ""
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		encoded, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(encoded); err == nil && name == "data" {
			data = value
		}
	}
	text, err := url.QueryUnescape(data)
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return readInput([]byte(text), s)
}

func readInput(data []byte, s *serializer.Serializer) (value.Value, error) {
	v, err := s.Value(data)
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return v, nil
}
