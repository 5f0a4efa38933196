package peer

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

const (
	// maxSketched is the largest string or number, in bytes, that a Sketch keeps.
	maxSketched = 4 << 10
	// sketchDepth is the depth of the deepest member that a Sketch looks for: p.m.id.
	sketchDepth = 3
)

// Sketch scans a message that is not decoded, because it is too large to keep or not valid
// JSON, for the id of its call and, if it is an event, for its kind and its event id. The
// message is written to it as a stream, and the memory that it uses does not grow with the
// message. The zero Sketch is ready for use.
type Sketch struct {
	depth   int
	path    [sketchDepth + 1]string // the current member at each depth, from 1
	scalar  []byte                  // the string, number or word that is being read, or was read last
	long    bool                    // scalar is cut
	quoted  bool
	escaped bool
	ended   bool

	call, kind, event, eventID json.RawMessage
}

// Reset makes s ready for another message.
func (s *Sketch) Reset() { *s = Sketch{scalar: s.scalar[:0]} }

// Write scans the next bytes of the message. It never returns an error.
func (s *Sketch) Write(p []byte) (int, error) {
	for _, c := range p {
		if s.ended {
			break
		}
		s.read(c)
	}
	return len(p), nil
}

func (s *Sketch) read(c byte) {
	switch {
	case s.quoted:
		s.readQuoted(c)
	case c == '"':
		s.quoted = true
		s.begin()
		s.keep(c)
	case c == '{' || c == '[':
		s.depth++
		s.setMember("")
		s.begin()
	case c == '}' || c == ']':
		s.endValue()
		s.depth--
		s.ended = s.depth <= 0
	case c == ',':
		s.endValue()
		s.setMember("")
	case c == ':':
		s.setMember(string(s.scalar))
		s.begin()
	case c == delimiter:
		s.ended = true
	case c > ' ':
		s.keep(c)
	}
}

func (s *Sketch) readQuoted(c byte) {
	s.keep(c)
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = false
	}
}

// keep appends a byte to the scalar, unless it is nested too deeply to be part of a wanted
// member.
func (s *Sketch) keep(c byte) {
	if s.depth > sketchDepth {
		return
	}
	if s.long = s.long || len(s.scalar) == maxSketched; !s.long {
		s.scalar = append(s.scalar, c)
	}
}

func (s *Sketch) begin() { s.scalar, s.long = s.scalar[:0], false }

// setMember sets the member that the next value belongs to.
func (s *Sketch) setMember(quotedName string) {
	if s.depth > 0 && s.depth <= sketchDepth {
		s.path[s.depth] = quotedName
	}
}

// endValue stores the scalar if it is the value of a wanted member.
func (s *Sketch) endValue() {
	if len(s.scalar) > 0 && !s.long {
		if into := s.member(); into != nil {
			*into = append((*into)[:0], s.scalar...)
		}
	}
	s.begin()
}

func (s *Sketch) member() *json.RawMessage {
	switch {
	case s.depth == 1 && s.path[1] == `"i"`:
		return &s.call
	case s.depth == 1 && s.path[1] == `"t"`:
		return &s.kind
	case s.depth == 2 && s.path[1] == `"p"` && s.path[2] == `"e"`:
		return &s.event
	case s.depth == 3 && s.path[1] == `"p"` && s.path[2] == `"m"` && s.path[3] == `"id"`:
		return &s.eventID
	}
	return nil
}

// Error returns a DecodeError with what was found in the message, and err as the reason.
func (s *Sketch) Error(err error) *DecodeError {
	e := &DecodeError{Event: string(s.kind) == typeEvent, Err: err}
	if string(s.kind) == typeAbort {
		return e
	}
	// The id is sent in the answer and must be UTF-8, which json.Valid does not check.
	if len(s.call) > 0 && len(s.call) <= MaxID && json.Valid(s.call) && utf8.Valid(s.call) {
		e.ID = ID(s.call)
	}
	if e.Event {
		e.Kind = EventKind(sketchedText(s.event))
		e.EventID = sketchedText(s.eventID)
	}
	return e
}

// sketchedText returns the string that value encodes, or an empty string if it is not one.
func sketchedText(value []byte) string {
	if !isText(value) || !json.Valid(value) {
		return ""
	}
	return unquote(value)
}

// sketchError returns the [DecodeError] of a message that is in memory. It keeps the fields
// that err already has.
func sketchError(f Frame, err error) *DecodeError {
	var s Sketch
	_, _ = s.Write(f.Data)
	found := s.Error(err)
	if known, ok := errors.AsType[*DecodeError](err); ok {
		found.Err = known.Err
		if known.ID != nil {
			found.ID, found.Event = known.ID, known.Event
		}
	}
	return found
}
