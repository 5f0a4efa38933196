package rpc

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

// websocketConn is one connection of a [WebsocketHandler], and the source of what
// the connection has to send.
type websocketConn struct {
	conn    atomic.Pointer[socket.Conn] // nil until the handshake is done
	outbox  socket.Outbox               // opened with conn, as what follows
	peer    *ServerPeer
	log     *slog.Logger
	handler *WebsocketHandler
}

func (c *websocketConn) open(ctx context.Context, h *WebsocketHandler, conn *socket.Conn) {
	c.handler = h
	c.log = h.peers.engine.logger
	c.outbox.Open(conn, h.options.MaxUnsentBytes)
	c.peer = h.peers.New(ctx, nil, c.send)
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

// Closing implements [socket.Handler].
func (c *websocketConn) Closing() {
	c.outbox.Close()
	c.peer.Stop()
}

// Ended implements [socket.Handler]. It returns when all calls have.
func (c *websocketConn) Ended(int) {
	defer c.handler.leave(c) // Shutdown waits for that
	c.peer.Close()
	c.outbox.Discard()
	c.peer.Wait()
}

func (c *websocketConn) send(ctx context.Context, message []byte, binary bool) error {
	return c.outbox.Put(ctx, socket.Frame(message, binary), 0)
}

// Pull implements [socket.Source].
func (c *websocketConn) Pull(b *socket.Batch, _ bool) socket.More {
	c.outbox.Take(b, always)
	if c.outbox.Empty() {
		return socket.None
	}
	return socket.Some
}

func always(uint64) bool { return true }

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
