//go:build !js

package dial

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const (
	// maxHeld is how much is held back at the most.
	maxHeld = 16 << 10
	// keptHeld is the largest buffer that is kept while nothing is held.
	keptHeld = 4 << 10
)

// wire is the stream below a WebSocket. It can hold back what is written. Close does not
// wait for anything and ends what others wait for.
//
// turn has an element while somebody writes or looks at the fields below it: it is a
// lock, but those who wait for it do so like those who wait for the network. After
// hold, and until flush, what is written is in held, in front of what comes next. After
// letGo nothing is held back any more.
type wire struct {
	io.ReadWriteCloser
	read    atomic.Int64 // bytes
	timeout time.Duration
	late    *time.Timer // runs while the stream is written to

	turn    chan struct{}
	holding bool
	gone    bool // let go
	held    []byte
}

func newWire(stream io.ReadWriteCloser) *wire {
	return &wire{ReadWriteCloser: stream, turn: make(chan struct{}, 1)}
}

// watch has fail called when the stream takes longer than timeout for a write. It is
// called once, before hold.
func (w *wire) watch(timeout time.Duration, fail func()) {
	w.timeout, w.late = timeout, time.AfterFunc(timeout, fail)
	w.late.Stop()
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
	w.holding = !w.gone
	<-w.turn
}

// Write implements io.Writer for the WebSocket. Control frames come in between
// messages, from other goroutines, and are held back like these.
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

// letGo is for whom the next frame is the last, whatever goes on beside.
func (w *wire) letGo() error {
	w.turn <- struct{}{}
	w.gone = true
	<-w.turn
	return w.flush()
}

// send is called by who has the turn.
func (w *wire) send() error {
	if len(w.held) == 0 {
		return nil
	}
	w.late.Reset(w.timeout)
	_, err := w.ReadWriteCloser.Write(w.held)
	w.late.Stop()
	if w.held = w.held[:0]; cap(w.held) > keptHeld {
		w.held = nil
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
