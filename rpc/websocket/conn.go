package websocket

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// conn is a connection of a [Handler]. It implements [socket.Source] and [socket.Handler].
type conn struct {
	conn    atomic.Pointer[socket.Conn] // nil until the handshake is complete
	outbox  socket.Outbox               // set, like the fields below, together with conn
	peer    *transport.ServerPeer
	log     *slog.Logger
	handler *Handler
}

func (c *conn) open(ctx context.Context, h *Handler, conn *socket.Conn) {
	c.handler = h
	c.log = h.logger
	c.outbox.Open(conn, h.options.MaxUnsentBytes)
	c.peer = h.peers.New(ctx, nil, c.send)
	c.conn.Store(conn)
}

// Receive implements [socket.Handler].
func (c *conn) Receive(message []byte, binary bool) (run func()) {
	run, err := c.peer.Take(message, binary)
	if err != nil {
		c.log.Debug("bad message", "err", err)
	}
	return run
}

// Closing implements [socket.Handler].
func (c *conn) Closing() {
	c.outbox.Close()
	c.peer.Stop()
}

// Ended implements [socket.Handler]. It returns when all calls have returned.
func (c *conn) Ended(int) {
	defer c.handler.leave(c) // Shutdown waits for this
	c.peer.Close()
	c.outbox.Discard()
	c.peer.Wait()
}

func (c *conn) send(ctx context.Context, message []byte, binary bool) error {
	return c.outbox.Put(ctx, socket.Frame(message, binary), 0)
}

// Pull implements [socket.Source].
func (c *conn) Pull(b *socket.Batch, _ bool) socket.More {
	c.outbox.Take(b, always)
	if c.outbox.Empty() {
		return socket.None
	}
	return socket.Some
}

func always(uint64) bool { return true }

// Visit implements [socket.Source]. A connection needs no visits.
func (c *conn) Visit(time.Time) (again time.Time) { return time.Time{} }

// close closes the connection so that the client connects to another server.
func (c *conn) close() {
	if conn := c.conn.Load(); conn != nil {
		conn.Close(int(websocket.StatusServiceRestart), "server is shutting down")
	}
}

func (c *conn) kill() {
	if conn := c.conn.Load(); conn != nil {
		conn.Kill()
	}
}
