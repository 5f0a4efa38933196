//go:build !js

package dial

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const (
	// maxHeld is the most bytes that are held back.
	maxHeld = 16 << 10
	// keptHeld is the largest buffer, in bytes, that is kept while nothing is held.
	keptHeld = 4 << 10
)

// wire is the stream below a WebSocket. It can hold back written bytes. Close does not
// wait, and makes reads and writes return.
//
// turn guards the fields below it: a goroutine owns them while it has an element in turn.
// It is not a mutex, since a goroutine that waits for it waits for the network. Between
// hold and flush, written bytes are collected in held. After release nothing is held back.
type wire struct {
	io.ReadWriteCloser
	read    atomic.Int64 // bytes
	timeout time.Duration
	writing *time.Timer // runs while the stream is written to

	turn     chan struct{}
	holding  bool
	released bool
	held     []byte
}

func newWire(stream io.ReadWriteCloser) *wire {
	return &wire{ReadWriteCloser: stream, turn: make(chan struct{}, 1)}
}

// watch makes the wire call fail if a write takes longer than timeout. It must be called
// once, before hold.
func (w *wire) watch(timeout time.Duration, fail func()) {
	w.timeout, w.writing = timeout, time.AfterFunc(timeout, fail)
	w.writing.Stop()
}

// Read implements io.Reader for the WebSocket.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Read(p)
	w.read.Add(int64(n))
	return n, err
}

func (w *wire) received() int64 { return w.read.Load() }

func (w *wire) hold() {
	w.turn <- struct{}{}
	w.holding = !w.released
	<-w.turn
}

// Write implements io.Writer for the WebSocket. Control frames, which other goroutines
// write between messages, are held back too.
func (w *wire) Write(p []byte) (int, error) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.held = append(w.held, p...)
	if w.holding && len(w.held) < maxHeld {
		return len(p), nil
	}
	if err := w.send(); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *wire) flush() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.holding = false
	return w.send()
}

// release flushes and ends the holding back for good, before the close frame is sent.
func (w *wire) release() error {
	w.turn <- struct{}{}
	w.released = true
	<-w.turn
	return w.flush()
}

// send writes the held bytes. The caller must have the turn.
func (w *wire) send() error {
	if len(w.held) == 0 {
		return nil
	}
	w.writing.Reset(w.timeout)
	_, err := w.ReadWriteCloser.Write(w.held)
	w.writing.Stop()
	if w.held = w.held[:0]; cap(w.held) > keptHeld {
		w.held = nil
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
