package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	// inputSilence is how long a client may take for the next event of its input, or for a
	// comment, which clients send while they have no event.
	inputSilence = time.Minute
	// inputLinger is how long a client that has not sent all of its input may read the
	// response before its connection is closed.
	inputLinger = 500 * time.Millisecond
)

// errHalfDuplex means that the input cannot be read while the response is written.
var errHalfDuplex = errors.New("rpc: read input: the http.ResponseWriter cannot be written while the body is read")

// httpInput reads the events in the body of a request.
type httpInput struct {
	exchange *exchange
	life     context.Context
	leave    func() // called when the response has been written
	reader   *sse.Reader
	deadline time.Time     // of reading
	woken    chan struct{} // closed when life has ended and waiting reads have been interrupted

	// mu guards the fields below, and is held while the read deadline is set. When the
	// body has been read, net/http continues to read, to detect that the client has
	// disconnected. A deadline would look like that, also for the next request of the
	// connection.
	mu    sync.Mutex
	whole bool // the body was read to its end
	cut   bool // reading was ended before the end of the body
}

// eventInput returns the input of a request whose body is a stream of events. The input ends when
// the server shuts down. The caller must call finish when the response has been written.
func (x *exchange) eventInput(server context.Context) (*eventStream, *httpInput, error) {
	if err := x.controller.EnableFullDuplex(); err != nil {
		return nil, nil, &Error{Code: CodeNotImplemented, cause: fmt.Errorf("%w: %w", errHalfDuplex, err)}
	}
	ctx, leave, err := x.streams.enter(x.r.Context(), server)
	if err != nil {
		return nil, nil, err
	}
	life, end := context.WithCancelCause(ctx)
	in := &httpInput{exchange: x, life: life, leave: leave, woken: make(chan struct{})}
	in.reader = sse.NewReader(in, x.maxBodyBytes)
	s := newEventStream(life, end)
	s.source = in
	context.AfterFunc(life, in.wake)
	return s, in, nil
}

// wake interrupts a read that waits.
func (i *httpInput) wake() {
	defer close(i.woken)
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole {
		i.cut = true
		_ = i.exchange.controller.SetReadDeadline(time.Now()) // not all writers support deadlines
	}
}

// expect sets the deadline of the next event.
func (i *httpInput) expect() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole && !i.cut {
		i.deadline = time.Now().Add(inputSilence)
		_ = i.exchange.controller.SetReadDeadline(i.deadline)
	}
}

// Read implements [io.Reader] for the reader of events. At the end of the body it removes the
// deadline.
func (i *httpInput) Read(p []byte) (int, error) {
	n, err := i.exchange.r.Body.Read(p)
	if err == io.EOF {
		i.mu.Lock()
		i.whole = true
		i.mu.Unlock()
	}
	return n, err
}

func (i *httpInput) next() eventItem {
	for {
		i.expect()
		if i.life.Err() != nil {
			return eventItem{err: endOf(i.life)}
		}
		m, err := i.reader.Next()
		if err == io.EOF { //nolint:errorlint // the error of a lost connection may wrap it
			return eventItem{value: value.Value{}, done: true} // the return value is optional
		}
		if err != nil {
			return eventItem{err: i.failure(err)}
		}
		kind, ok := m.Kind()
		if !ok {
			continue
		}
		if item, ok := readInputEvent(i.exchange.engine.serializer, kind, m.Data, m.Meta); ok {
			return item
		}
	}
}

// failure returns the error of an input that cannot be read: an error of the client, unless the
// call has ended.
func (i *httpInput) failure(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(i.deadline):
		return &Error{Code: CodeTimeout, cause: err} // net/http has ended the context because of it
	case i.life.Err() != nil:
		return endOf(i.life)
	case errors.Is(err, sse.ErrTooLarge):
		return &Error{Code: CodePayloadTooLarge, cause: err}
	}
	return malformedRequest(err)
}

func (i *httpInput) close() {}

// announce prepares the header of a response. If there is unread input, the connection cannot be
// used again, because the rest of the input could be read as a request.
func (i *httpInput) announce() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.exchange.r.ProtoMajor == 1 && (!i.whole || i.cut) {
		i.exchange.w.Header().Set("Connection", "close")
	}
}

// finish ends the input when the response has been written. For inputLinger, net/http continues
// to read, so that the client receives the response.
func (i *httpInput) finish(s *eventStream) {
	defer i.leave()
	s.close()
	<-i.woken // wake would undo the following
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole {
		_ = i.exchange.controller.SetReadDeadline(time.Now().Add(inputLinger))
	}
}

// peerInput reads the events that a client sends as the input of a call.
type peerInput struct {
	life       context.Context
	call       *peer.Call
	serializer *serializer.Serializer
}

// newPeerInput returns the input of a call. The caller must stop it when the handler has returned.
// When the call ends, the client is notified by the call itself.
func newPeerInput(ctx context.Context, c *peer.Call, values *serializer.Serializer) *eventStream {
	life, end := context.WithCancelCause(ctx)
	s := newEventStream(life, end)
	s.source = &peerInput{life: life, call: c, serializer: values}
	return s
}

func (i *peerInput) next() eventItem {
	for {
		e, err := i.call.Next(i.life)
		if err != nil {
			return eventItem{err: fmt.Errorf("rpc: read events: %w", withCause(i.life, err))}
		}
		if item, ok := readInputEvent(i.serializer, e.Kind, e.Data, e.Meta); ok {
			return item
		}
	}
}

// close asks the client to stop, unless it has sent everything.
func (i *peerInput) close() { _ = i.call.CloseInput() }

// readInputEvent is like readEvent, for an event that a client has sent.
func readInputEvent(values *serializer.Serializer, kind peer.EventKind, data []byte, meta peer.EventMeta) (item eventItem, ok bool) {
	item, ok = readEvent(values, kind, data, meta)
	if _, malformed := errors.AsType[*serializer.MalformedError](item.err); malformed {
		item.err = malformedRequest(item.err)
	}
	return item, ok
}
