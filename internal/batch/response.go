package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Response is the response to the request of a batch with the same index.
type Response struct {
	Index  int
	Status int             // 0 means that of the whole response
	Header http.Header     // never nil once parsed
	Body   json.RawMessage // nil if there is none
}

// response is the JSON of a Response.
type response struct {
	Index   *int            `json:"index"`
	Status  int             `json:"status,omitempty"`
	Headers json.RawMessage `json:"headers,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

var errNoIndex = errors.New("response has no index")

// AppendResponse appends a response to dst. Its body must be valid JSON or nil.
func AppendResponse(dst []byte, r *Response) []byte {
	return appendJSON(dst, &response{Index: &r.Index, Status: r.Status, Headers: encodeHeader(r.Header), Body: r.Body})
}

// ParseResponse parses a response.
func ParseResponse(text []byte) (*Response, error) {
	var wire response
	if err := json.Unmarshal(text, &wire); err != nil {
		return nil, fmt.Errorf("batch: parse response: %w", err)
	}
	if wire.Index == nil {
		return nil, fmt.Errorf("batch: parse response: %w", errNoIndex)
	}
	header, err := parseHeader(wire.Headers)
	if err != nil {
		return nil, fmt.Errorf("batch: parse response: %w", err)
	}
	return &Response{Index: *wire.Index, Status: wire.Status, Header: header, Body: wire.Body}, nil
}
