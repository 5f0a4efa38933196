package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
)

const (
	// writeTimeout is how long a connection may take for one message.
	writeTimeout = 30 * time.Second
	// closeGrace is how long a server has to answer the close frame of a client.
	// Some never do.
	closeGrace = time.Second
)

var (
	errNoPong       = errors.New("client: the server does not answer pings")
	errNotConnected = errors.New("client: there is no connection")
)

// connection is one WebSocket, from its opening to its end. Its methods are safe for
// concurrent use, except serve.
type connection struct {
	ws     *websocket.Conn
	kill   func()             // ends the connection below the WebSocket
	cred   credential         // the last that the server knows of; belongs to the supervisor
	cancel context.CancelFunc // ends reading, and thereby the socket
	done   chan struct{}      // closed when nothing of the connection is running

	// mu guards cause, which is set once.
	mu    sync.Mutex
	cause error // why this side has given it up
}

// serve hands the messages to calls until the connection ends, and then the reason to
// ended. It returns at once.
func (c *connection) serve(ctx context.Context, calls *rpc.ClientPeer, pingInterval time.Duration, ended func(error)) {
	ctx, c.cancel = context.WithCancel(ctx)
	c.done = make(chan struct{})
	var pings sync.WaitGroup
	if pingInterval > 0 {
		pings.Go(func() { c.ping(ctx, pingInterval) })
	}
	go func() {
		defer close(c.done)
		err := c.read(ctx, calls)
		c.cancel()
		pings.Wait()
		_ = c.ws.CloseNow() // fails if it is closed
		calls.Disconnect(err)
		ended(err)
	}()
}

// read gives the reason why the connection has ended.
func (c *connection) read(ctx context.Context, calls *rpc.ClientPeer) error {
	for {
		kind, message, err := c.ws.Read(ctx)
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.cause != nil {
				return c.cause
			}
			return fmt.Errorf("client: connection lost: %w", err)
		}
		if err := calls.Receive(message, kind == websocket.MessageBinary); err != nil && !hasOwner(err) {
			return fmt.Errorf("client: bad message: %w", err) // it may have been an event
		}
	}
}

// hasOwner tells whether the call or subscription that a bad message belongs to has
// got the error.
func hasOwner(err error) bool {
	bad, ok := errors.AsType[*peer.DecodeError](err)
	return ok && bad.ID != nil
}

// ping asks for signs of life until there is none.
func (c *connection) ping(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting, stop := context.WithTimeout(ctx, interval)
		err := c.ws.Ping(waiting)
		stop()
		if err != nil {
			c.fail(errNoPong)
			return
		}
	}
}

// write sends a message. It closes a connection that does not take it in time.
func (c *connection) write(ctx context.Context, message []byte, binary bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // an ended context would close the connection too
	}
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	ctx, stop := context.WithTimeout(ctx, writeTimeout)
	defer stop()
	return c.ws.Write(ctx, kind, message)
}

// fail gives the connection up. It does not wait.
func (c *connection) fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	c.cancel()
}

// close ends the connection with a close frame, and returns when it has ended.
func (c *connection) close() {
	late := time.AfterFunc(closeGrace, c.kill)
	defer late.Stop()
	_ = c.ws.Close(websocket.StatusNormalClosure, "") // fails if the server does not answer
	c.cancel()
	<-c.done
}
