package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// MaxHeaderBytes is the maximum size in bytes of the JSON of the headers of all requests of
// one batch.
const MaxHeaderBytes = 64 << 10

// Errors of [ParseRequests].
var (
	// ErrInvalid is wrapped by the error of a batch that cannot be read.
	ErrInvalid = errors.New("batch: invalid request")
	// ErrTooMany means that a batch has more requests than are allowed.
	ErrTooMany = errors.New("batch: too many requests")
	// ErrHeaderTooLarge means that the headers exceed [MaxHeaderBytes].
	ErrHeaderTooLarge = errors.New("batch: headers are too large")
)

// Request is one request of a batch.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header     // never nil once parsed
	Body   json.RawMessage // nil if there is none
}

// request is the JSON of a Request.
type request struct {
	Body    json.RawMessage `json:"body,omitempty"`
	Headers json.RawMessage `json:"headers,omitempty"`
	Method  *string         `json:"method,omitempty"`
	URL     string          `json:"url"`
}

// ParseRequests parses the requests of a batch. method is the HTTP method of the batch, and
// of each request without one. ParseRequests stops at the first request beyond limit, so
// that its memory is bounded by limit and the length of text.
func ParseRequests(text []byte, method string, limit int) ([]Request, error) {
	list := json.NewDecoder(bytes.NewReader(jsontext.TrimByteOrderMark(text)))
	if err := expect(list, json.Delim('[')); err != nil {
		return nil, err
	}
	var requests []Request
	room := MaxHeaderBytes
	for list.More() {
		if len(requests) == limit {
			return nil, ErrTooMany
		}
		var wire request
		if err := list.Decode(&wire); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if room -= len(wire.Headers); room < 0 {
			return nil, ErrHeaderTooLarge
		}
		r, err := wire.parse(method)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		requests = append(requests, r)
	}
	if err := expect(list, json.Delim(']')); err != nil {
		return nil, err
	}
	if _, err := list.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: text after the list", ErrInvalid)
	}
	return requests, nil
}

func expect(list *json.Decoder, want json.Delim) error {
	if token, err := list.Token(); err != nil || token != want {
		return fmt.Errorf("%w: no list", ErrInvalid)
	}
	return nil
}

func (w *request) parse(method string) (Request, error) {
	r := Request{Method: method, Body: w.Body}
	if w.Method != nil {
		r.Method = *w.Method
	}
	var err error
	if r.URL, err = url.Parse(w.URL); err != nil {
		return r, err
	}
	if r.URL.Scheme == "" || r.URL.Host == "" {
		return r, fmt.Errorf("%q is not an absolute address", w.URL)
	}
	r.Header, err = parseHeader(w.Headers)
	return r, err
}

// AppendRequests appends the list of requests to dst, for a batch that is sent with the
// given HTTP method.
func AppendRequests(dst []byte, method string, requests []Request) []byte {
	list := make([]request, len(requests))
	for i, r := range requests {
		list[i] = request{URL: r.URL.String(), Headers: encodeHeader(r.Header), Body: r.Body}
		if r.Method != method {
			list[i].Method = &r.Method
		}
	}
	return appendJSON(dst, list)
}
