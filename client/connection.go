package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// writeTimeout is how long one write to a connection may take.
const writeTimeout = 30 * time.Second

// maxDoubt is how long the server may take to answer when it is in doubt that it is there.
const maxDoubt = 5 * time.Second

var (
	errTooLarge     = errors.New("the message is larger than Options.MaxMessageBytes")
	errNoPong       = errors.New("the server does not answer pings")
	errNotConnected = errors.New("client: there is no connection")
)

// connection is one open WebSocket.
type connection struct {
	*dial.Conn
	done     chan struct{} // closed when nothing of the connection is running
	doubt    chan struct{} // has an element when it is in doubt that the server is there
	redact   func(error) error
	maxBytes int64 // of a message

	// These belong to the reader.
	large peer.Sketch // of a message of more than maxBytes
	size  int         // of the message that is being delivered, in bytes

	// These belong to the supervisor.
	cred     credential // the last that the server has accepted
	updating bool       // a newer one was sent, and not answered yet
}

// serve starts to read messages, which it passes to calls. When the connection has ended
// it calls ended with the reason.
func (c *connection) serve(calls *transport.ClientPeer, pingInterval time.Duration, ended func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var pings sync.WaitGroup
	if pingInterval > 0 {
		pings.Go(func() { c.keepAlive(ctx, pingInterval, calls) })
	}
	go func() {
		defer close(c.done)
		err := c.redact(c.read(calls))
		cancel()
		pings.Wait()
		calls.Disconnect(err)
		ended(err)
	}()
}

// read returns the reason why the connection has ended. A message that cannot be read is
// no such reason: what it was is not known, but if it was an event then the server would
// only send it again.
func (c *connection) read(calls *transport.ClientPeer) error {
	c.SkipLarge(c.maxBytes, &c.large, func() {
		c.size = 0 // nothing is kept
		calls.Refuse(c.large.Error(errTooLarge))
		c.large.Reset()
	})
	for {
		message, binary, err := c.Read()
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		c.size = len(message)
		if err := calls.Receive(message, binary); err != nil && !hasOwner(err) {
			calls.Refuse(err)
		}
	}
}

// hasOwner reports whether the call or subscription that a bad message belongs to has
// received the error.
func hasOwner(err error) bool {
	bad, ok := errors.AsType[*peer.DecodeError](err)
	return ok && bad.ID != nil
}

// verify finds out soon whether the server is there, if it is pinged at all.
func (c *connection) verify() {
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// close ends the connection with a close frame, and returns when it has ended.
func (c *connection) close() {
	c.Close()
	<-c.done
}
