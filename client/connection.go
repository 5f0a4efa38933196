package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// writeTimeout is how long one write to a connection may take.
const writeTimeout = 30 * time.Second

// maxDoubt is how long the server may take to answer a ping when its connection may be dead.
const maxDoubt = 5 * time.Second

var (
	errTooLarge     = errors.New("the message is larger than Options.MaxMessageBytes")
	errNoPong       = errors.New("the server did not answer a ping")
	errNotConnected = errors.New("client: there is no connection")
)

// connection is one open WebSocket.
type connection struct {
	*dial.Conn
	done     chan struct{} // closed when nothing of the connection is running
	doubt    chan struct{} // has an element when the connection may be dead
	redact   func(error) error
	maxBytes int64 // of a message
	reader   *reader

	// These belong to the reader.
	large peer.Sketch // of a message of more than maxBytes
	size  int         // of the message that is being delivered, in bytes

	// These belong to the supervisor.
	cred     credential // the last one that the server has accepted
	updating bool       // a newer one was sent and has not been answered yet
}

// serve starts a goroutine that reads messages and passes them to calls. When the connection
// has ended, it calls ended with the reason.
func (c *connection) serve(calls *transport.ClientPeer, pingInterval time.Duration, ended func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var pings sync.WaitGroup
	if pingInterval > 0 {
		pings.Go(func() { c.keepAlive(ctx, pingInterval, calls) })
	}
	go func() {
		defer close(c.done)
		err := c.redact(c.read(calls))
		if websocket.CloseStatus(err) == websocket.StatusMessageTooBig {
			err = peer.Suspect(err) // of one of the calls, which must not break each next connection too
		}
		cancel()
		pings.Wait()
		calls.Disconnect(err)
		ended(err)
	}()
}

// read reads messages until the connection ends and returns the reason. It skips messages
// that cannot be read: after a reconnect the server would only send such an event again.
func (c *connection) read(calls *transport.ClientPeer) error {
	c.SkipLarge(c.maxBytes, &c.large, func() {
		c.size = 0 // the message is not kept
		calls.Refuse(c.large.Error(errTooLarge))
		c.large.Reset()
	})
	for {
		message, binary, err := c.Read()
		if err != nil {
			return err
		}
		c.size = len(message)
		c.reader.readMessage(c.size)
		if err := calls.Receive(message, binary); err != nil && !hasOwner(err) {
			calls.Refuse(err)
		}
	}
}

// hasOwner reports whether the call or subscription of a malformed message has received the
// error.
func hasOwner(err error) bool {
	bad, ok := errors.AsType[*peer.DecodeError](err)
	return ok && bad.ID != nil
}

// verify makes keepAlive check soon that the connection is alive, unless pings are disabled.
func (c *connection) verify() {
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// Fail closes the connection, whose reader returns the cause. Fail does not wait.
func (c *connection) Fail(cause error) {
	c.Conn.Fail(cause)
	c.reader.close()
}

// close closes the connection with a close frame and waits until it has ended.
func (c *connection) close() {
	c.reader.close()
	c.Close()
	<-c.done
}
