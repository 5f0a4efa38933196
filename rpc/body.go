package rpc

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
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
	data, err := readAll(w, r, limit)
	if err != nil {
		return value.Value{}, err
	}
	return readInput(data, s)
}

// readAll reads the body of a request. Its errors are *Error.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &Error{Code: CodePayloadTooLarge}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

// readForeignBody accepts a body that is no encoded value only if it is empty.
func readForeignBody(r *http.Request) (value.Value, error) {
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); err {
	case io.EOF:
		return value.Value{}, nil
	case nil:
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	default:
		return value.Value{}, bodyError(err)
	}
}

// bodyError returns the error that the caller is sent for a body that could not be read.
func bodyError(err error) *Error {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Code: CodeTimeout, cause: err}
	}
	return malformedRequest(err)
}

// readQuery reads the input of a GET request: the last data of its query.
func readQuery(u *url.URL, s *serializer.Serializer) (value.Value, error) {
	text, err := queryParameter(u, "data")
	if err != nil {
		return value.Value{}, err
	}
	return readInput([]byte(text), s)
}

// queryParameter returns the last value of a parameter, empty if there is none.
// Other parameters need not even be well-formed. Its errors are *Error.
func queryParameter(u *url.URL, parameter string) (string, error) {
	last := ""
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		encoded, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(encoded); err == nil && name == parameter {
			last = value
		}
	}
	text, err := url.QueryUnescape(last)
	if err != nil {
		return "", malformedRequest(err)
	}
	return text, nil
}

func readInput(data []byte, s *serializer.Serializer) (value.Value, error) {
	v, err := s.Value(data)
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return v, nil
}
