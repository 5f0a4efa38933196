package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

const (
	// minBuffer is what a Reader asks its source for at first.
	minBuffer = 4 << 10
	// maxEmptyReads is how often in a row a source may give nothing and no error.
	maxEmptyReads = 100
)

// byteOrderMark may stand at the very start of a stream and means nothing.
const byteOrderMark = "\ufeff"

// Errors of [Reader.Next].
var (
	// ErrIncomplete tells that the stream has ended inside a message. It wraps
	// [io.ErrUnexpectedEOF].
	ErrIncomplete = fmt.Errorf("sse: stream ended inside a message: %w", io.ErrUnexpectedEOF)

	// ErrTooLarge tells that a message is longer than the limit of the reader.
	ErrTooLarge = errors.New("sse: message is too large")
)

// Reader reads the messages of one stream.
type Reader struct {
	src   io.Reader
	limit int

	buf     []byte // limit+1 bytes at most
	unread  []byte // the part of buf that was read and not used yet; its capacity ends where buf does
	srcErr  error  // what src has ended with; counts when unread is used up
	begun   bool   // the first line is behind us
	afterCR bool   // the last line ended with CR: an LF that comes next belongs to it

	err error // what Next has ended with
}

// NewReader makes a Reader of r, normally the body of a response. maxMessage is
// the greatest length of one message in bytes: all of its lines, also those that
// mean nothing, each with one byte for its end. It is required.
func NewReader(r io.Reader, maxMessage int64) *Reader {
	return &Reader{src: r, limit: int(max(0, min(maxMessage, math.MaxInt-1)))}
}

// Next returns the next message, comments alone and unknown events included. It
// reads only if it has to: a message is returned once its blank line is there.
// Closing the source ends a Next that waits, if that ends its Read.
//
// The error is [io.EOF] itself where the stream ends between two messages,
// [ErrIncomplete] where it ends inside one, [ErrTooLarge], or else it wraps that
// of the source. An error is final: every later Next returns it again.
func (r *Reader) Next() (*Message, error) {
	if r.err != nil {
		return nil, r.err
	}
	m, err := r.next()
	r.err = err
	return m, err
}

func (r *Reader) next() (*Message, error) {
	var m *Message // nil before the first line
	room := r.limit
	for {
		line, err := r.line(room)
		switch {
		case errors.Is(err, io.EOF) && (m != nil || len(r.unread) > 0):
			return nil, ErrIncomplete
		case err != nil:
			return nil, err
		case len(line) == 0 && m == nil: // a blank line alone is no message
			continue
		case len(line) == 0:
			return m, nil
		case len(line)+1 > room:
			return nil, ErrTooLarge
		}
		room -= len(line) + 1
		if m == nil {
			m = new(Message)
		}
		m.addLine(line)
	}
}

// line returns the next line without its end. It is valid until the next call.
// If there is more than room and no end of it, the error is ErrTooLarge.
func (r *Reader) line(room int) ([]byte, error) {
	for scanned := 0; ; {
		if r.afterCR && len(r.unread) > 0 {
			r.unread = bytes.TrimPrefix(r.unread, []byte("\n"))
			r.afterCR = false
		}
		if i := bytes.IndexAny(r.unread[scanned:], "\r\n"); i >= 0 {
			return r.takeLine(scanned + i), nil
		}
		scanned = len(r.unread)
		if scanned > room {
			return nil, ErrTooLarge
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

func (r *Reader) takeLine(end int) []byte {
	line := r.unread[:end]
	r.afterCR = r.unread[end] == '\r'
	r.unread = r.unread[end+1:]
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, []byte(byteOrderMark))
	}
	return line
}

// fill appends the result of one read to unread.
func (r *Reader) fill() error {
	if r.srcErr != nil {
		return r.srcErr
	}
	if len(r.unread) == 0 || len(r.unread) == cap(r.unread) {
		r.makeRoom()
	}
	for range maxEmptyReads {
		n, err := r.src.Read(r.unread[len(r.unread):cap(r.unread)])
		r.unread = r.unread[:len(r.unread)+n]
		if err == io.EOF {
			r.srcErr = io.EOF
		} else if err != nil {
			r.srcErr = fmt.Errorf("sse: read: %w", err)
		}
		if n > 0 {
			return nil
		}
		if r.srcErr != nil {
			return r.srcErr
		}
	}
	return fmt.Errorf("sse: read: %w", io.ErrNoProgress)
}

// makeRoom moves unread to the front of buf, a greater one if it fills it. Since
// unread moves only when it is empty or has reached the end of buf, a line that
// arrives in small pieces is not copied for each of them.
func (r *Reader) makeRoom() {
	if len(r.unread) == len(r.buf) {
		r.buf = make([]byte, min(max(2*len(r.buf), minBuffer), r.limit+1))
	}
	r.unread = r.buf[:copy(r.buf, r.unread)]
}

// addLine adds one line that is not blank.
func (m *Message) addLine(line []byte) {
	key, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(key) {
	case "":
		m.Meta.Comments = append(m.Meta.Comments, string(value))
	case "event":
		m.Event = eventKind(value)
	case "data":
		if m.Data == nil {
			m.Data = make([]byte, 0, len(value))
		} else {
			m.Data = append(m.Data, '\n')
		}
		m.Data = append(m.Data, value...)
	case "id":
		if bytes.IndexByte(value, 0) < 0 { // else the standard has readers ignore it
			m.Meta.ID, m.Meta.HasID = string(value), true
		}
	case "retry":
		if retry := parseRetry(value); retry != nil {
			m.Meta.Retry = retry
		}
	}
}

// eventKind spares the usual names an allocation.
func eventKind(name []byte) peer.EventKind {
	switch string(name) {
	case string(peer.EventMessage):
		return peer.EventMessage
	case string(peer.EventError):
		return peer.EventError
	case string(peer.EventDone):
		return peer.EventDone
	default:
		return peer.EventKind(name)
	}
}

// parseRetry returns nil for a value that is not allowed.
func parseRetry(text []byte) *int64 {
	retry, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || strconv.FormatInt(retry, 10) != string(text) {
		return nil
	}
	if (peer.EventMeta{Retry: &retry}).Validate() != nil {
		return nil
	}
	return &retry
}
