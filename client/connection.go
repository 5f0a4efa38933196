package client

import (
	"bytes"
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
	// keptBuffer is the largest buffer that is kept for the next message.
	keptBuffer = 64 << 10
)

var (
	errNoPong       = errors.New("client: the server does not answer pings")
	errNotTaken     = errors.New("client: the server does not take messages")
	errNotConnected = errors.New("client: there is no connection")
)

// connection is one WebSocket, from its opening to its end. Its methods are safe for
// concurrent use, except serve.
//
// Messages are read and written without a context: each that can end would cost the
// WebSocket a callback of its own. Who gives the connection up ends it from below.
type connection struct {
	ws   *websocket.Conn
	kill func()        // ends the connection below the WebSocket
	done chan struct{} // closed when nothing of the connection is running

	// These belong to the supervisor.
	cred    credential // the last that the server has taken
	sharing bool       // it is being told of another one

	// mu guards the fields below.
	//
	//   - cause, which is set once, is why this side has given the connection up.
	//   - writing counts the messages that wait to be taken. While there are any, late
	//     runs, which gives the connection up; it begins anew when one was taken.
	mu      sync.Mutex
	cause   error
	writing int
	late    *time.Timer
}

func newConnection(ws *websocket.Conn, kill func(), cred credential) *connection {
	c := &connection{ws: ws, kill: kill, cred: cred, done: make(chan struct{})}
	c.late = time.AfterFunc(writeTimeout, func() { c.fail(errNotTaken) })
	c.late.Stop()
	return c
}

// serve hands the messages to calls until the connection ends, and then the reason to
// ended. It returns at once.
func (c *connection) serve(calls *rpc.ClientPeer, pingInterval time.Duration, ended func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var pings sync.WaitGroup
	if pingInterval > 0 {
		pings.Go(func() { c.ping(ctx, pingInterval) })
	}
	go func() {
		defer close(c.done)
		err := c.read(calls)
		cancel()
		c.kill()
		_ = c.ws.CloseNow() // frees what is left; fails if it is closed
		pings.Wait()
		calls.Disconnect(err)
		ended(err)
	}()
}

// read gives the reason why the connection has ended.
func (c *connection) read(calls *rpc.ClientPeer) error {
	var message bytes.Buffer // used again and again: calls keep a copy of what they need
	for {
		kind, r, err := c.ws.Reader(context.Background())
		if err == nil {
			message.Reset()
			_, err = message.ReadFrom(r)
		}
		if err != nil {
			return c.lost(err)
		}
		if err := calls.Receive(message.Bytes(), kind == websocket.MessageBinary); err != nil && !hasOwner(err) {
			return fmt.Errorf("client: bad message: %w", err) // it may have been an event
		}
		if message.Cap() > keptBuffer {
			message = bytes.Buffer{}
		}
	}
}

// lost gives the reason why the connection has ended, which shows as err.
func (c *connection) lost(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	return fmt.Errorf("client: connection lost: %w", err)
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

// write sends a message. A connection that does not take it in time is given up.
func (c *connection) write(ctx context.Context, message []byte, binary bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	c.watch(+1)
	defer c.watch(-1)
	if err := c.ws.Write(context.Background(), kind, message); err != nil {
		return c.lost(err)
	}
	return nil
}

// watch notes that there is a message more, or less, that waits to be taken.
func (c *connection) watch(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing += change
	switch {
	case c.writing == 0:
		c.late.Stop()
	case c.writing == 1 || change < 0:
		c.late.Reset(writeTimeout)
	}
}

// fail gives the connection up. It does not wait.
func (c *connection) fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	c.kill()
}

// close ends the connection with a close frame, and returns when it has ended.
func (c *connection) close() {
	late := time.AfterFunc(closeGrace, c.kill)
	defer late.Stop()
	_ = c.ws.Close(websocket.StatusNormalClosure, "") // fails if the server does not answer
	<-c.done
}
