package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// Message is an item of an event stream: an event, or comments alone.
type Message struct {
	Event peer.EventKind // the name of the event, which may be any string; empty: absent
	Data  []byte         // nil: absent; empty data is data
	Meta  peer.EventMeta
}

// Kind returns the meaning of the message in an event stream of oRPC. A message
// without a name is an event if it has data, and the name close means done. If ok is
// false, the message has no meaning and must be skipped: it has only comments, or is an
// event that oRPC does not know.
func (m *Message) Kind() (kind peer.EventKind, ok bool) {
	switch m.Event {
	case peer.EventMessage, peer.EventError, peer.EventDone:
		return m.Event, true
	case "close":
		return peer.EventDone, true
	case "":
		return peer.EventMessage, m.Data != nil
	default:
		return "", false
	}
}

// ErrInvalid is wrapped by the error for a message that cannot be written: its name,
// id or comments have a line break, or its retry is not between 0 and 2^53-1.
// Nothing of it is written.
var ErrInvalid = errors.New("sse: invalid message")

// Append appends a message to dst: comments, name, retry, id, data and a blank line.
// Each line of the data becomes a line; LF, CR and CRLF in it are received as LF. A
// Message without members is a blank line, which readers skip.
//
// For an invalid message, the error wraps [ErrInvalid] and dst is returned as it was.
func Append(dst []byte, m *Message) ([]byte, error) {
	if strings.ContainsAny(string(m.Event), "\r\n") {
		return dst, fmt.Errorf("%w: event name has a line break", ErrInvalid)
	}
	if m.Meta.HasID && strings.Contains(m.Meta.ID, "\x00") { // readers ignore such an id
		return dst, fmt.Errorf("%w: id has a NUL", ErrInvalid)
	}
	if err := m.Meta.Validate(); err != nil {
		return dst, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, comment := range m.Meta.Comments {
		dst = appendLine(dst, ": ", comment)
	}
	if m.Event != "" {
		dst = appendLine(dst, "event: ", m.Event)
	}
	if m.Meta.Retry != nil {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, *m.Meta.Retry, 10)
		dst = append(dst, '\n')
	}
	if m.Meta.HasID {
		dst = appendLine(dst, "id: ", m.Meta.ID)
	}
	if m.Data != nil {
		dst = appendData(dst, m.Data)
	}
	return append(dst, '\n'), nil
}

func appendData(dst, data []byte) []byte {
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return appendLine(dst, "data: ", data)
		}
		dst = appendLine(dst, "data: ", data[:end])
		rest := data[end:]
		if bytes.HasPrefix(rest, []byte("\r\n")) {
			rest = rest[1:]
		}
		data = rest[1:]
	}
}

func appendLine[T ~string | ~[]byte](dst []byte, key string, value T) []byte {
	dst = append(dst, key...)
	dst = append(dst, value...)
	return append(dst, '\n')
}
