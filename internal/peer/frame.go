package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// MaxID is the greatest length of an [ID] in bytes. The original has no limit.
const MaxID = 64

// maxDepth is how deep a message may be nested: twice as deep as a value, so that a message
// whose value is nested too deep can be read and refused.
const maxDepth = 2000

// delimiter stands between the JSON and the bytes of a binary frame.
// It cannot occur in UTF-8.
const delimiter = 0xFF

// The values of t that name an event and an abort. Every other value, or none,
// makes a request (a response).
const (
	typeEvent = "3"
	typeAbort = "4"
)

// ErrIDTooLong is wrapped by errors about an id of more than [MaxID] bytes.
var ErrIDTooLong = errors.New("id is too long")

// Frame is one WebSocket message.
type Frame struct {
	Data   []byte
	Binary bool
}

// ID is the JSON of the member i of a message, as it was received: the string "1"
// and the number 1 are different ids. A missing id is nil.
type ID []byte

// Message is one of *[Request], *[Response], *[Event] and *[Abort].
type Message any

// Body is what a request or a response carries. With both fields nil there is
// no body at all, which the original calls undefined.
type Body struct {
	// JSON is an encoded JSON value.
	JSON json.RawMessage

	// Bytes is the content of a form or a file. It is not nil for an empty file.
	Bytes []byte
}

// DecodeError reports that a frame is no message.
type DecodeError struct {
	// ID is the id of the frame, nil if it could not be read.
	ID ID

	// Event is set if the frame is an event. Such a frame has no answer.
	Event bool

	// Kind and EventID are those of an event from a server, as far as they could be
	// read, or empty.
	Kind    EventKind
	EventID string

	// Err is the reason.
	Err error
}

// Error implements error.
func (e *DecodeError) Error() string { return "decode: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// DecodeRequest reads a frame that a client has sent: a *[Request], an
// *[Event] or an *[Abort]. The result refers to the memory of the frame. Errors
// are of type *[DecodeError]. That of a request has the id also where the message is no
// valid JSON, or nested too deep, if the id can be found.
func DecodeRequest(f Frame) (Message, error) {
	m, err := decode(f, clientSide)
	if err != nil {
		return nil, sketchError(f, err)
	}
	return m, nil
}

// DecodeResponse reads a frame that a server has sent: a *[Response], an
// *[Event] or an *[Abort]. The result refers to the memory of the frame. Errors
// are of type *[DecodeError].
func DecodeResponse(f Frame) (Message, error) {
	m, err := decode(f, serverSide)
	if err != nil {
		return nil, sketchError(f, err)
	}
	return m, nil
}

// clone returns a copy of a frame, for one whose memory is the caller's.
func (f Frame) clone() Frame { return Frame{Data: bytes.Clone(f.Data), Binary: f.Binary} }

// envelope holds the members of a message before its payload is looked at.
type envelope struct {
	id      ID
	kind    string // the JSON text of t
	payload []byte // the JSON text of p, nil if absent
	bytes   []byte // what follows the delimiter, nil if there is none
}

// side is where a frame was sent.
type side int

const (
	clientSide side = iota
	serverSide
)

// decode calls its branches by name, so that the envelope stays on the stack.
func decode(f Frame, from side) (m Message, err error) {
	e, err := open(f)
	if err != nil {
		return nil, &DecodeError{Err: err}
	}
	switch {
	case e.kind == typeAbort:
		return &Abort{ID: e.id}, nil
	case !isObject(e.payload):
		err = errors.New("payload is no object")
	case e.kind == typeEvent:
		m, err = e.event(cap(f.Data))
	case from == clientSide:
		m, err = e.request()
	default:
		m, err = e.response()
	}
	if err != nil {
		return nil, &DecodeError{ID: e.id, Event: e.kind == typeEvent, Err: err}
	}
	return m, nil
}

// open finds the members of a message. They lie in the memory of the frame, or in that
// of a copy if the frame is not UTF-8.
func open(f Frame) (e envelope, err error) {
	text := f.Data
	if f.Binary {
		if i := bytes.IndexByte(text, delimiter); i >= 0 {
			text, e.bytes = text[:i], text[i+1:]
		}
	}
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	text = bytes.TrimLeft(jsontext.TrimByteOrderMark(text), " \t\n\r")
	if !jsontext.Valid(text, maxDepth) {
		return envelope{}, errors.New("message is no JSON")
	}
	if !isObject(text) {
		return envelope{}, errors.New("message is no object")
	}
	for name, value := range members(text) {
		switch name {
		case "i":
			e.id = ID(value)
		case "t":
			e.kind = string(value)
		case "p":
			e.payload = value
		}
	}
	if len(e.id) > MaxID {
		return envelope{}, ErrIDTooLong
	}
	return e, nil
}

// body finds the body of a message by its headers, in the order of the original.
func (e *envelope) body(h http.Header, value json.RawMessage) (Body, error) {
	if len(h) == 0 {
		return Body{JSON: value}, nil
	}
	if len(h["Content-Disposition"]) > 0 {
		if e.bytes == nil {
			return Body{Bytes: []byte{}}, nil
		}
		return Body{Bytes: e.bytes}, nil
	}
	if strings.HasPrefix(h.Get("Content-Type"), "multipart/form-data") {
		if len(e.bytes) == 0 {
			return Body{}, errors.New("form has no bytes")
		}
		return Body{Bytes: e.bytes}, nil
	}
	return Body{JSON: value}, nil
}

// check reports what cannot be put into one frame.
func (b Body) check(id ID) error {
	if len(id) > MaxID {
		return ErrIDTooLong
	}
	if b.JSON != nil && b.Bytes != nil {
		return errors.New("body has both JSON and bytes")
	}
	return nil
}

// appendHead begins a message, up to its id. appendName then adds the comma before the
// next member.
func appendHead(dst []byte, id ID) []byte {
	dst = append(dst, '{')
	if id != nil {
		dst = append(append(dst, `"i":`...), id...)
	}
	return dst
}

// frame ends a message with the bytes of its body.
func frame(text, body []byte) Frame {
	if len(body) == 0 {
		return Frame{Data: text}
	}
	return Frame{Data: append(append(text, delimiter), body...), Binary: true}
}
