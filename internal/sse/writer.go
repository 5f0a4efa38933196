package sse

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// defaultKeepAlive is the interval of oRPC.
const defaultKeepAlive = 5 * time.Second

// ErrClosed is returned by [Writer.Write] after Close.
var ErrClosed = errors.New("sse: writer is closed")

// Options configures a [Writer]. The zero Options are oRPC's defaults.
type Options struct {
	// KeepAlive is how long nothing is written before a comment is. 0 means 5 s,
	// a negative value no comments.
	KeepAlive time.Duration
	// KeepAliveComment is the text of that comment. It must not have a line break.
	KeepAliveComment string

	// InitialComment is the text of the comment that the stream begins with. It
	// must not have a line break.
	InitialComment string
	// NoInitialComment omits that comment.
	NoInitialComment bool
}

// Writer writes the messages of a stream. Write and Close must not be called
// concurrently.
type Writer struct {
	dst       io.Writer
	flush     func() error
	interval  time.Duration
	keepAlive []byte // the comment
	closed    bool   // guarded by the caller of Write and Close

	closing chan struct{} // closed by Close
	running sync.WaitGroup

	// turn holds a value while nothing is being written. Taking it guards the fields
	// below and dst. It is not a mutex, because it is held during a write, which takes
	// as long as the client takes to read. Once err is set nothing is written.
	turn chan struct{}
	buf  []byte
	last time.Time // the end of the last write
	err  error
}

// NewWriter begins a stream on w, normally an http.ResponseWriter whose header has
// been written. It writes the initial comment and flushes it at once, so that the
// client receives the response before there is an event.
//
// Flush sends what was written, as that of an http.ResponseController; nil means that
// w does not buffer. W must limit how long a write takes: Write and Close wait for it.
//
// The error is that of the first write, or wraps [ErrInvalid] if a comment has a line
// break. After an error there is nothing to close.
func NewWriter(w io.Writer, flush func() error, o Options) (*Writer, error) {
	if o.KeepAlive == 0 {
		o.KeepAlive = defaultKeepAlive
	}
	if flush == nil {
		flush = func() error { return nil }
	}
	keepAlive, err := encodeComment(o.KeepAliveComment)
	if err != nil {
		return nil, err
	}
	var initial []byte
	if !o.NoInitialComment {
		if initial, err = encodeComment(o.InitialComment); err != nil {
			return nil, err
		}
	}
	s := &Writer{
		dst: w, flush: flush, interval: o.KeepAlive, keepAlive: keepAlive,
		closing: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	if err := s.send(initial); err != nil {
		return nil, err
	}
	s.turn <- struct{}{}
	if s.interval > 0 {
		s.running.Go(s.keepAwake)
	}
	return s, nil
}

func encodeComment(text string) ([]byte, error) {
	return Append(nil, &Message{Meta: peer.EventMeta{Comments: []string{text}}})
}

// Write writes a message and flushes it. For an invalid message the error wraps
// [ErrInvalid], and the stream continues without it. Any other error is final, whether
// it is that of Write or of a keepalive: the stream is broken, later calls return the
// same error, and nothing more is written.
func (w *Writer) Write(m *Message) error {
	if w.closed {
		return ErrClosed
	}
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	if w.err != nil {
		return w.err
	}
	text, err := Append(w.buf[:0], m)
	w.buf = text
	if err != nil {
		return err
	}
	return w.send(text)
}

// Close stops the keepalive and waits for its end. It does not close the underlying
// writer. It returns the error that broke the stream, if any, also if it is called
// again.
func (w *Writer) Close() error {
	if !w.closed {
		w.closed = true
		close(w.closing)
		w.running.Wait()
	}
	return w.err
}

// keepAwake writes a comment whenever nothing was written for an interval.
func (w *Writer) keepAwake() {
	timer := time.NewTimer(w.interval)
	defer timer.Stop()
	for {
		select {
		case <-w.closing:
			return
		case <-timer.C:
		}
		rest, err := w.comment()
		if err != nil {
			return // the next Write or Close returns it
		}
		timer.Reset(rest)
	}
}

// comment writes a comment if it is due, and returns the time until the next one.
func (w *Writer) comment() (rest time.Duration, err error) {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	if w.err != nil {
		return 0, w.err
	}
	if rest := w.interval - time.Since(w.last); rest > 0 {
		return rest, nil
	}
	return w.interval, w.send(w.keepAlive)
}

// send writes text and flushes it. The caller must hold the turn.
func (w *Writer) send(text []byte) error {
	var err error
	if len(text) > 0 {
		_, err = w.dst.Write(text)
	}
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		w.err = fmt.Errorf("sse: write: %w", err)
	}
	w.last = time.Now()
	return w.err
}
