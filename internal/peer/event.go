package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// EventKind is what an event means to its stream. A decoded event may also have other kinds
// than those below.
type EventKind string

// The kinds of events. A stream ends with its first error or done.
const (
	EventMessage EventKind = "message" // one value
	EventError   EventKind = "error"   // the stream has failed
	EventDone    EventKind = "done"    // the stream is complete; the data is its return value
)

// maxRetry is the greatest integer that every JavaScript number type holds exactly.
const maxRetry = 1<<53 - 1

// Errors of [EventMeta.Validate].
var (
	ErrLineBreak = errors.New("event id or comment has a line break")
	ErrRetry     = errors.New("event retry is not between 0 and 2^53-1")
)

// Event is one item of an event stream.
type Event struct {
	ID   ID
	Kind EventKind
	Data json.RawMessage // nil: absent
	Meta EventMeta

	kept int // bytes that the event keeps in memory, if it was decoded
}

// eventOverhead is the number of bytes that an event costs in addition to those that it
// keeps.
const eventOverhead = 256

// cost returns the number of bytes that the event counts as while it is held.
func (e *Event) cost() int { return e.kept + eventOverhead }

// ends reports whether no event follows e.
func (e *Event) ends() bool { return e.Kind == EventDone || e.Kind == EventError }

// EventMeta is the metadata of an event.
type EventMeta struct {
	ID       string
	HasID    bool     // ID is set; an id may be empty
	Retry    *int64   // milliseconds; nil: absent
	Comments []string // nil: absent
}

// Abort asks the receiver to stop the call or the stream with an id.
type Abort struct{ ID ID }

// Validate returns an error for metadata that must not be sent: [ErrRetry] for a retry
// outside of 0 to 2^53-1, [ErrLineBreak] for a line break in the id or a comment.
func (m EventMeta) Validate() error {
	if m.Retry != nil && (*m.Retry < 0 || *m.Retry > maxRetry) {
		return ErrRetry
	}
	if m.HasID && strings.ContainsAny(m.ID, "\r\n") {
		return ErrLineBreak
	}
	for _, c := range m.Comments {
		if strings.ContainsAny(c, "\r\n") {
			return ErrLineBreak
		}
	}
	return nil
}

// AppendEvent appends the whole message of an event. Data must be valid JSON; the metadata
// is not validated.
func AppendEvent(dst []byte, e *Event) []byte {
	var buf [128]byte
	meta := AppendEventMeta(buf[:0], e.Meta)
	dst = append(dst, '{')
	if e.ID != nil {
		dst = append(append(append(dst, `"i":`...), e.ID...), ',')
	}
	return appendEventRest(dst, e.Kind, e.Data, meta)
}

// AppendEventRest appends all of an event's message that follows its id. This part is the
// same for every stream that gets the event, so a publisher encodes it once and joins it to
// each id with [JoinEvent]. data is JSON, or nil if absent; meta is the result of
// [AppendEventMeta], or empty if absent.
func AppendEventRest(dst []byte, kind EventKind, data, meta []byte) []byte {
	return appendEventRest(append(dst, ','), kind, data, meta)
}

func appendEventRest(dst []byte, kind EventKind, data, meta []byte) []byte {
	dst = append(dst, `"t":3,"p":{"e":`...)
	dst = jsontext.AppendString(dst, string(kind))
	if data != nil {
		dst = append(append(dst, `,"d":`...), data...)
	}
	if len(meta) > 0 {
		dst = append(append(dst, `,"m":{`...), meta...)
		dst = append(dst, '}')
	}
	return append(dst, '}', '}')
}

// JoinEvent appends the whole message of an event. rest is the result of [AppendEventRest].
func JoinEvent(dst []byte, id ID, rest []byte) []byte {
	if id == nil {
		return append(append(dst, '{'), rest[len(","):]...)
	}
	return append(appendHead(dst, id), rest...)
}

// AppendEventMeta appends the members of the metadata, without braces. It appends nothing
// if there are none.
func AppendEventMeta(dst []byte, m EventMeta) []byte {
	start := len(dst)
	comma := func() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
	}
	if m.HasID {
		dst = jsontext.AppendString(append(dst, `"id":`...), m.ID)
	}
	if m.Retry != nil {
		comma()
		dst = strconv.AppendInt(append(dst, `"retry":`...), *m.Retry, 10)
	}
	if m.Comments != nil {
		comma()
		dst = jsontext.AppendStrings(append(dst, `"comments":`...), m.Comments)
	}
	return dst
}

// AppendAbort appends the whole message of an abort.
func AppendAbort(dst []byte, id ID) []byte {
	return append(appendName(appendHead(dst, id), "t"), typeAbort+"}"...)
}

// event decodes an event. kept is the size of the frame, which the event's data keeps in
// memory.
func (e *envelope) event(kept int) (*Event, error) {
	event := &Event{ID: e.id, kept: kept}
	for name, value := range members(e.payload) {
		var err error
		switch name {
		case "e":
			var kind string
			kind, err = decodeText(value)
			event.Kind = EventKind(kind)
		case "d":
			event.Data = value
		case "m":
			event.Meta, err = decodeEventMeta(value)
		}
		if err != nil {
			return nil, fmt.Errorf("event member %s: %w", name, err)
		}
	}
	event.kept += event.Meta.size()
	return event, nil
}

// size returns how many bytes the metadata keeps in memory.
func (m EventMeta) size() int {
	size := len(m.ID)
	for _, c := range m.Comments {
		size += len(c) + int(unsafe.Sizeof(c))
	}
	return size
}

// decodeEventMeta decodes metadata. It does not refuse line breaks, since some versions of
// the original send them.
func decodeEventMeta(value []byte) (EventMeta, error) {
	var m EventMeta
	if isAbsent(value) {
		return m, nil
	}
	if !isObject(value) {
		return m, errors.New("metadata is not an object")
	}
	for name, value := range members(value) {
		if isAbsent(value) {
			continue
		}
		var err error
		switch name {
		case "id":
			m.ID, err = decodeText(value)
			m.HasID = true
		case "retry":
			var retry int64
			if retry, err = strconv.ParseInt(string(value), 10, 64); err != nil || retry < 0 || retry > maxRetry {
				err = ErrRetry
			}
			m.Retry = &retry
		case "comments":
			m.Comments, err = decodeTexts(value)
		}
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
	}
	return m, nil
}
