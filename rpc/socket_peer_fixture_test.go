package rpc_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

type message struct {
	data   string
	binary bool
}

// wire takes messages and passes them to a function one after another, as a socket
// does. It never keeps the sender waiting.
type wire struct {
	mu      sync.Mutex
	queue   []message
	ready   chan struct{}
	closed  chan struct{}
	reading sync.WaitGroup
}

func newWire(receive func(message []byte, binary bool) error) *wire {
	w := &wire{ready: make(chan struct{}, 1), closed: make(chan struct{})}
	w.reading.Go(func() {
		for {
			select {
			case <-w.ready:
			case <-w.closed:
				return
			}
			w.mu.Lock()
			batch := w.queue
			w.queue = nil
			w.mu.Unlock()
			for _, m := range batch {
				_ = receive([]byte(m.data), m.binary) // the tests check the result of the call
			}
		}
	})
	return w
}

func (w *wire) send(_ context.Context, data []byte, binary bool) error {
	w.mu.Lock()
	w.queue = append(w.queue, message{string(data), binary})
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
	return nil
}

func (w *wire) close() {
	close(w.closed)
	w.reading.Wait()
}

// connect joins a client and a server, whose messages arrive by toClient. Send of
// the options is set here.
func connect(t *testing.T, so transport.ServerPeerOptions, co transport.ClientPeerOptions) (client *transport.ClientPeer, toClient *wire) {
	t.Helper()
	var server *transport.ServerPeer
	toServer := newWire(func(m []byte, binary bool) error { return server.Receive(m, binary) })
	toClient = newWire(func(m []byte, binary bool) error { return client.Receive(m, binary) })
	so.Send, co.Send = toClient.send, toServer.send
	client, server = transport.NewClientPeer(&co), transport.NewServerPeer(t.Context(), &so)
	t.Cleanup(func() {
		server.Close()
		server.Wait()
		client.Close(nil)
		toServer.close()
		toClient.close()
	})
	return client, toClient
}

// outbox stores the messages that a peer sends.
type outbox struct {
	mu       sync.Mutex
	messages []string
}

func (o *outbox) send(_ context.Context, m []byte, _ bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, string(m))
	return nil
}

// take waits until all goroutines of the bubble are blocked, and returns the messages sent
// meanwhile.
func (o *outbox) take() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.messages
	o.messages = nil
	return taken
}

// newServer makes a peer that answers into an outbox.
func newServer(t *testing.T, o transport.ServerPeerOptions) (*transport.ServerPeer, *outbox) {
	t.Helper()
	box := &outbox{}
	if o.Send == nil {
		o.Send = box.send
	}
	p := transport.NewServerPeer(t.Context(), &o)
	t.Cleanup(func() {
		p.Close()
		p.Wait()
	})
	return p, box
}

// receive passes text messages to a peer, which must accept them.
func receive(t *testing.T, p interface {
	Receive(message []byte, binary bool) error
}, messages ...string) {
	t.Helper()
	for _, m := range messages {
		require.NoError(t, p.Receive([]byte(m), false), "%s", m)
	}
}

// newClient makes a peer that sends into an outbox.
func newClient(t *testing.T, o transport.ClientPeerOptions) (*transport.ClientPeer, *outbox) {
	t.Helper()
	box := &outbox{}
	if o.Send == nil {
		o.Send = box.send
	}
	p := transport.NewClientPeer(&o)
	t.Cleanup(func() { p.Close(nil) })
	return p, box
}

// outcome is the result of a call.
type outcome struct {
	out any
	err error
}

// start makes a call in the background.
func start(ctx context.Context, c rpc.Caller, call *rpc.Call, opts ...rpc.CallOption) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		out, err := c.Call(ctx, call, opts...)
		done <- outcome{out, err}
	}()
	return done
}

// pingCall is a call that wants a text.
func pingCall() *rpc.Call {
	return &rpc.Call{Path: []string{"nested", "ping"}, Input: rpc.Void{}, New: func() any { return new(string) }}
}
