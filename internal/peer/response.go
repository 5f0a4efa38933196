package peer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

var errStatus = errors.New("status is no positive integer")

// Response answers a [Request].
type Response struct {
	ID ID

	// Status is 200 if the message does not say otherwise. Zero means 200.
	Status int

	// Header has canonical names. It is never nil once it was decoded.
	Header http.Header

	Body Body
}

// EncodeResponse makes the frame of a response. Body.JSON must be valid JSON.
// It fails for a negative status, for an id over [MaxID] bytes, and for a body
// of two kinds.
func EncodeResponse(r *Response) (Frame, error) {
	if err := r.Body.check(r.ID); err != nil {
		return Frame{}, fmt.Errorf("peer: encode response: %w", err)
	}
	if r.Status < 0 {
		return Frame{}, fmt.Errorf("peer: encode response: %w", errStatus)
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
