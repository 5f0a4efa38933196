package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

const (
	// minBuffer is the initial size of a Reader's buffer.
	minBuffer = 4 << 10
	// commentOverhead is the memory that a comment takes in addition to its text, in bytes.
	commentOverhead = 16
	// maxEmptyReads is how often in a row a source may return neither data nor an
	// error.
	maxEmptyReads = 100
)

// Errors of [Reader.Next].
var (
	// ErrIncomplete is returned if the stream ends inside a message. It wraps
	// [io.ErrUnexpectedEOF].
	ErrIncomplete = fmt.Errorf("sse: stream ended inside a message: %w", io.ErrUnexpectedEOF)

	// ErrTooLarge is returned for a message that is longer than the limit.
	ErrTooLarge = errors.New("sse: message is too large")
)

// Reader reads the messages of a stream. It is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	limit int

	buf     []byte // limit+1 bytes at most
	unread  []byte // the part of buf that has data; its capacity reaches to the end of buf
	srcErr  error  // the last error of src, returned when there is no data left
	begun   bool   // the first line has been read
	afterCR bool   // the last line ended with CR: an LF that follows is part of its end

	err error // the last error of Next
}

// NewReader returns a Reader of r, normally the body of a response. maxMessage is the
// maximum length of a message in bytes: of all its lines, ignored ones included, each
// with one byte for its end, and with 16 more if it is a comment after the first. It is
// required.
func NewReader(r io.Reader, maxMessage int64) *Reader {
	return &Reader{src: r, limit: int(max(0, min(maxMessage, math.MaxInt-1)))}
}

// Next returns the next message, which may be one that means nothing to oRPC: see
// [Message.Kind]. It reads no more than it must: a message is returned once its blank
// line has arrived. Closing the source makes a blocked Next return, if it makes the
// source's Read return.
//
// The error is [io.EOF] itself if the stream ends between two messages, [ErrIncomplete]
// if it ends inside one, [ErrTooLarge], or wraps the error of the source. It is final:
// later calls return it again.
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
		case len(line) == 0 && m == nil: // a blank line alone is not a message
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
		if line[0] == ':' && len(m.Meta.Comments) > 0 {
			room = max(room-commentOverhead, 0)
		}
		m.addLine(line)
	}
}

// line returns the next line without its end, which is valid until the next call. If
// the line is longer than room and its end has not arrived, the error is ErrTooLarge.
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
		line = jsontext.TrimByteOrderMark(line)
	}
	return line
}

// fill reads once and adds the data to unread.
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

// makeRoom moves unread to the front of buf, or of a larger buffer if it fills buf. As
// it moves only when it is empty or has reached the end of buf, a line that arrives in
// small pieces is not copied for each of them.
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
		if bytes.IndexByte(value, 0) < 0 { // else readers ignore it, by the standard
			m.Meta.ID, m.Meta.HasID = string(value), true
		}
	case "retry":
		if retry := parseRetry(value); retry != nil {
			m.Meta.Retry = retry
		}
	}
}

// eventKind saves the allocation of the usual names.
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

// parseRetry returns nil for a text that is not valid.
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
