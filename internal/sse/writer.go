package sse

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// defaultKeepAlive is oRPC's.
const defaultKeepAlive = 5 * time.Second

// ErrClosed is returned by a [Writer.Write] after Close.
var ErrClosed = errors.New("sse: writer is closed")

// Options configures a [Writer]. The zero Options are oRPC's defaults.
type Options struct {
	// KeepAlive is how long nothing may be written before a comment is. 0 is 5 s;
	// with a negative one there are none.
	KeepAlive time.Duration
	// KeepAliveComment is the text of that comment. It has no line break.
	KeepAliveComment string

	// InitialComment is the text of a comment at the start of the stream. It has
	// no line break.
	InitialComment string
	// NoInitialComment leaves it out.
	NoInitialComment bool
}

// Writer writes the messages of one stream. Write and Close are for one goroutine
// at a time; the keepalive, which is the Writer's own, takes turns with it.
type Writer struct {
	dst       io.Writer
	flush     func() error
	interval  time.Duration
	keepAlive []byte // the comment
	closed    bool   // belongs to the caller of Write and Close

	closing chan struct{} // closed by Close
	running sync.WaitGroup

	// turn holds one value while no goroutine writes. The fields below, and dst,
	// belong to the goroutine that has taken it, until it puts it back. It is no mutex
	// because a turn lasts as long as the client takes to read. Once err is set nothing is written.
	turn chan struct{}
	buf  []byte
	last time.Time // the end of the last write
	err  error
}

// NewWriter begins a stream on w, normally an http.ResponseWriter whose header
// has been written. It writes the initial comment and flushes at once, so that
// the client sees the response before there is an event.
//
// Flush passes on what was written, as http.ResponseController does; nil if w
// keeps nothing back. How long a write may take is for w to limit: Write and
// Close wait for it. The error is that of the first write, or wraps [ErrInvalid]
// if a comment has a line break; then there is nothing to close.
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

// Write writes a message and flushes it. An invalid message is left out
// and the error wraps [ErrInvalid]. Any other error is
// final, whether it is met here or by the keepalive: the stream is broken, every
// later Write returns the same error, and nothing more is written.
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

// Close ends the keepalive and waits until it is gone; it does not close what the
// Writer writes to. It returns the error that broke the stream, if any. Closing
// again returns the same.
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
			return // the next Write or Close tells
		}
		timer.Reset(rest)
	}
}

// comment writes a comment if it is time for one, and returns how long it is until
// the next.
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

// send needs the turn. Without a text it only flushes.
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
