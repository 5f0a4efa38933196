package peer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// Request asks a server to run a procedure.
type Request struct {
	ID ID

	// Method is the HTTP method. Empty means POST. It is never empty in a decoded request.
	Method string

	// URL is absolute in a decoded request. A URL without scheme and host is sent as a path
	// below [Origin].
	URL *url.URL

	// Header has canonical names. It is never nil in a decoded request.
	Header http.Header

	Body Body
}

// EncodeRequest returns the frame of a request. Body.JSON must be valid JSON. It returns an
// error if the URL is missing or not usable, if the id is longer than [MaxID] bytes, and if
// the body has both JSON and bytes.
func EncodeRequest(r *Request) (Frame, error) {
	if err := r.Body.check(r.ID); err != nil {
		return Frame{}, fmt.Errorf("encode request: %w", err)
	}
	u, err := encodeAddress(r.URL)
	if err != nil {
		return Frame{}, fmt.Errorf("encode request: %w", err)
	}
	dst := make([]byte, 0, 128+len(u)+len(r.Body.JSON)+len(r.Body.Bytes))
	dst = append(appendName(appendHead(dst, r.ID), "p"), '{')
	dst = jsontext.AppendString(appendName(dst, "u"), u)
	if r.Body.JSON != nil {
		dst = append(appendName(dst, "b"), r.Body.JSON...)
	}
	dst = appendHeader(dst, r.Header)
	if m := cmp.Or(r.Method, http.MethodPost); m != http.MethodPost {
		dst = jsontext.AppendString(appendName(dst, "m"), m)
	}
	return frame(append(dst, '}', '}'), r.Body.Bytes), nil
}

func (e *envelope) request() (*Request, error) {
	var u, b, h, m json.RawMessage
	for name, value := range members(e.payload) {
		switch name {
		case "u":
			u = value
		case "b":
			b = value
		case "h":
			h = value
		case "m":
			m = value
		}
	}
	// The id lives as long as the call, and must not keep the whole frame in memory.
	r := &Request{ID: bytes.Clone(e.id), Method: http.MethodPost}
	addr, err := decodeText(u)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	if r.URL, err = parseAddress(addr); err != nil {
		return nil, err
	}
	if !isAbsent(m) {
		method, err := decodeText(m)
		if err != nil {
			return nil, fmt.Errorf("method: %w", err)
		}
		r.Method = cmp.Or(method, http.MethodPost)
	}
	if r.Header, err = decodeHeader(h); err != nil {
		return nil, err
	}
	if r.Body, err = e.body(r.Header, b); err != nil {
		return nil, err
	}
	return r, nil
}

var errStatus = errors.New("status is not a positive integer")

// Response answers a [Request].
type Response struct {
	ID ID

	// Status is the HTTP status. Zero means 200. It is never zero in a decoded response.
	Status int

	// Header has canonical names. It is never nil in a decoded response.
	Header http.Header

	Body Body
}

// EncodeResponse returns the frame of a response. Body.JSON must be valid JSON. It returns
// an error if the status is negative, if the id is longer than [MaxID] bytes, and if the
// body has both JSON and bytes.
func EncodeResponse(r *Response) (Frame, error) {
	if err := r.Body.check(r.ID); err != nil {
		return Frame{}, fmt.Errorf("encode response: %w", err)
	}
	if r.Status < 0 {
		return Frame{}, fmt.Errorf("encode response: %w", errStatus)
	}
	dst := make([]byte, 0, 128+len(r.Body.JSON)+len(r.Body.Bytes))
	dst = append(appendName(appendHead(dst, r.ID), "p"), '{')
	if s := cmp.Or(r.Status, http.StatusOK); s != http.StatusOK {
		dst = strconv.AppendInt(appendName(dst, "s"), int64(s), 10)
	}
	dst = appendHeader(dst, r.Header)
	if r.Body.JSON != nil {
		dst = append(appendName(dst, "b"), r.Body.JSON...)
	}
	return frame(append(dst, '}', '}'), r.Body.Bytes), nil
}

func (e *envelope) response() (*Response, error) {
	var s, h, b json.RawMessage
	for name, value := range members(e.payload) {
		switch name {
		case "s":
			s = value
		case "h":
			h = value
		case "b":
			b = value
		}
	}
	r := &Response{ID: e.id, Status: http.StatusOK}
	var err error
	if !isAbsent(s) {
		if r.Status, err = strconv.Atoi(string(s)); err != nil || r.Status <= 0 {
			return nil, errStatus
		}
	}
	if r.Header, err = decodeHeader(h); err != nil {
		return nil, err
	}
	if r.Body, err = e.body(r.Header, b); err != nil {
		return nil, err
	}
	return r, nil
}
