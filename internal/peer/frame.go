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

// maxDepth is how deep a message may be nested. It is twice the limit of a value, so that a
// message whose value is nested too deeply can be read and refused.
const maxDepth = 2000

// delimiter separates the JSON of a binary frame from its bytes. It cannot occur in UTF-8.
const delimiter = 0xFF

// These are the values of t for an event and an abort. A message with any other value, or
// without t, is a request or a response.
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

// Body is the body of a request or a response. If both fields are nil there is no body,
// which is undefined in JavaScript.
type Body struct {
	// JSON is an encoded JSON value.
	JSON json.RawMessage

	// Bytes is the content of a form or a file. It is not nil for an empty file.
	Bytes []byte
}

// DecodeError is the error of a frame that is not a valid message.
type DecodeError struct {
	// ID is the id of the frame, nil if it could not be read.
	ID ID

	// Event is set if the frame is an event. Such a frame has no answer.
	Event bool

	// Kind and EventID are those of an event from a server. They are empty if they could
	// not be read.
	Kind    EventKind
	EventID string

	// Err is the reason.
	Err error
}

// Error returns the message of Err.
func (e *DecodeError) Error() string { return "decode: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// DecodeRequest decodes a frame that a client has sent. It returns a *[Request], an
// *[Event] or an *[Abort], which refers to the memory of the frame. Errors are of type
// *[DecodeError]. They have the id of a request, if that can be found, even if the message
// is not valid JSON or nested too deeply.
func DecodeRequest(f Frame) (Message, error) {
	m, err := decode(f, clientSide)
	if err != nil {
		return nil, sketchError(f, err)
	}
	return m, nil
}

// DecodeResponse decodes a frame that a server has sent. It returns a *[Response], an
// *[Event] or an *[Abort], which refers to the memory of the frame. Errors are of type
// *[DecodeError].
func DecodeResponse(f Frame) (Message, error) {
	m, err := decode(f, serverSide)
	if err != nil {
		return nil, sketchError(f, err)
	}
	return m, nil
}

// clone returns a copy of a frame, for one whose memory belongs to the caller.
func (f Frame) clone() Frame { return Frame{Data: bytes.Clone(f.Data), Binary: f.Binary} }

// envelope holds the members of a message, with the payload still encoded.
type envelope struct {
	id      ID
	kind    string // the JSON of t
	payload []byte // the JSON of p, nil if absent
	bytes   []byte // the bytes after the delimiter, nil if there is none
}

// side is the side of a connection that has sent a frame.
type side int

const (
	clientSide side = iota
	serverSide
)

// decode decodes a frame. It calls methods of the envelope directly, so that this stays on
// the stack.
func decode(f Frame, from side) (m Message, err error) {
	e, err := open(f)
	if err != nil {
		return nil, &DecodeError{Err: err}
	}
	switch {
	case e.kind == typeAbort:
		return &Abort{ID: e.id}, nil
	case !isObject(e.payload):
		err = errors.New("payload is not an object")
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

// open returns the members of a message. They refer to the memory of the frame, or to that
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
		return envelope{}, errors.New("message is not JSON")
	}
	if !isObject(text) {
		return envelope{}, errors.New("message is not an object")
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

// body returns the body of a message. The headers decide of which kind it is, in the order
// of the original.
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

// check returns an error for a body or an id that cannot be put into one frame.
func (b Body) check(id ID) error {
	if len(id) > MaxID {
		return ErrIDTooLong
	}
	if b.JSON != nil && b.Bytes != nil {
		return errors.New("body has both JSON and bytes")
	}
	return nil
}

// appendHead appends the beginning of a message, up to its id. appendName then adds the
// comma before the next member.
func appendHead(dst []byte, id ID) []byte {
	dst = append(dst, '{')
	if id != nil {
		dst = append(append(dst, `"i":`...), id...)
	}
	return dst
}

// frame returns the frame of an encoded message and the bytes of its body.
func frame(text, body []byte) Frame {
	if len(body) == 0 {
		return Frame{Data: text}
	}
	return Frame{Data: append(append(text, delimiter), body...), Binary: true}
}
