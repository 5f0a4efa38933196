package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrInvalid is wrapped by the error of a message that cannot be written: one
// with a line break in its name, id or comments, or with a retry that is not
// between 0 and 2^53-1. Nothing of it is written.
var ErrInvalid = errors.New("sse: invalid message")

// Append adds the text of a message to dst: comments, name, retry, id, data and
// a blank line. Data goes into one line for each of its own; what was LF, CR or
// CRLF there is read back as LF. A Message without any member is a blank line,
// which readers skip.
//
// If the message is invalid, the error wraps [ErrInvalid] and dst is returned as
// it was.
func Append(dst []byte, m *Message) ([]byte, error) {
	if strings.ContainsAny(string(m.Event), "\r\n") {
		return dst, fmt.Errorf("%w: event name has a line break", ErrInvalid)
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
