package rpc

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

const (
	// maxUnsent is how many bytes of answers may wait for a client before its calls
	// have to wait too.
	maxUnsent = 1 << 20
	// maxRefusals is how many answers may wait that belong to no call. A client that
	// causes more without reading any is dropped.
	maxRefusals = 1 << 10
)

var (
	errConnClosed = errors.New("rpc: the connection is closed")
	errUnread     = errors.New("rpc: the client does not read its answers")
)

// websocketConn is one connection of a [WebsocketHandler], and the source of what
// the connection has to send.
type websocketConn struct {
	conn atomic.Pointer[socket.Conn] // nil until the handshake is done
	peer *ServerPeer                 // set with conn
	log  *slog.Logger                // set with conn

	handler *WebsocketHandler // set with conn

	// mu guards the fields below. unsent and refusals are the sums over messages;
	// room is signalled when they fall. Once closed is set, messages stays empty.
	mu       sync.Mutex
	room     sync.Cond
	messages []outgoing
	unsent   int
	refusals int
	closed   bool
}

// outgoing is a message that waits to be sent.
type outgoing struct {
	data    []byte
	binary  bool
	refusal bool // it belongs to no call
}

// ofCall marks the contexts of calls. Answers without it come from the reader.
type ofCall struct{}

func (c *websocketConn) open(ctx context.Context, h *WebsocketHandler, conn *socket.Conn) {
	c.handler = h
	c.room.L = &c.mu
	c.log = h.peers.engine.logger
	c.peer = h.peers.New(ctx, c.send)
	c.conn.Store(conn)
}

// Receive implements [socket.Handler].
func (c *websocketConn) Receive(message []byte, binary bool) (run func()) {
	run, err := c.peer.Take(message, binary)
	if err != nil {
		c.log.Debug("bad message", "err", err)
	}
	return run
}

// Ended implements [socket.Handler]. It returns when all calls have.
func (c *websocketConn) Ended(int) {
	defer c.handler.leave(c) // Shutdown waits for that
	c.peer.Close()
	c.mu.Lock()
	c.closed, c.messages = true, nil
	c.mu.Unlock()
	c.room.Broadcast()
	c.peer.Wait()
}

// send queues a message. Calls wait for room; the reader, which has to notice when
// the connection ends, does not, and gives up on clients that ask for it.
func (c *websocketConn) send(ctx context.Context, message []byte, binary bool) error {
	refusal := ctx.Value(ofCall{}) == nil
	c.mu.Lock()
	for !refusal && !c.closed && c.unsent >= maxUnsent {
		c.room.Wait()
	}
	closed, unread := c.closed, refusal && c.refusals >= maxRefusals
	if !closed && !unread {
		c.messages = append(c.messages, outgoing{message, binary, refusal})
		c.count(message, refusal, 1)
	}
	c.mu.Unlock()
	conn := c.conn.Load()
	switch {
	case closed:
		return errConnClosed
	case unread:
		conn.Close(int(websocket.StatusPolicyViolation), "too many unread answers")
		return errUnread
	}
	conn.Wake()
	return nil
}

// count adds a message to the sums, n times, with mu held.
func (c *websocketConn) count(message []byte, refusal bool, n int) {
	c.unsent += n * len(message)
	if refusal {
		c.refusals += n
	}
}

// Pull gives what waits, in whole frames. It implements [socket.Source].
func (c *websocketConn) Pull(b *socket.Batch, _ bool) socket.More {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := len(b.Own)
	taken := 0
	for _, m := range c.messages {
		if len(b.Own) > start && len(b.Own)-start+len(m.data) > socket.BatchSize {
			break
		}
		b.Own = append(socket.AppendHeader(b.Own, m.binary, len(m.data)), m.data...)
		c.count(m.data, m.refusal, -1)
		taken++
	}
	c.messages = slices.Delete(c.messages, 0, taken)
	if taken > 0 {
		c.room.Broadcast()
	}
	if len(c.messages) > 0 {
		return socket.Some
	}
	return socket.None
}

// Visit implements [socket.Source]; there is nothing to look after.
func (c *websocketConn) Visit(time.Time) (again time.Time) { return time.Time{} }

// close asks the client to connect to another server.
func (c *websocketConn) close() {
	if conn := c.conn.Load(); conn != nil {
		conn.Close(int(websocket.StatusServiceRestart), "server is shutting down")
	}
}

func (c *websocketConn) kill() {
	if conn := c.conn.Load(); conn != nil {
		conn.Kill()
	}
}
