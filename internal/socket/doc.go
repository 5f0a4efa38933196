// Package socket owns the server side of WebSocket connections. It is the only
// package that reads and writes them.
//
// coder/websocket does the handshake. After it everything that goes out, pongs and close
// frames included, goes through [Conn], which asks a [Source] for whole frames and hands
// them to the kernel, as many as there are in one system call.
//
// A fixed set of goroutines, the [Pool], writes for all connections and never
// waits for one of them: it writes what the kernel takes at once. A connection
// that is full, that has no file descriptor (TLS), or whose source has to wait
// for something is written to by a goroutine of its own until it has caught up.
//
// An idle connection has one goroutine, which does nothing but wait for input, for
// which the smallest stack is enough. When there is some, it reads a message, starts
// another one to wait in its place, and handles what it has read. One wheel watches
// for silent peers and everything else that is due at some time, so no connection has a
// timer.
//
// # Bounds
//
// A connection holds a message that is being read, of which memory is taken as its bytes
// come, up to Options.ReadLimit; the answers in its [Outbox]; control frames of 1 KiB; and
// one batch that is being written, of [BatchSize] bytes and a frame or a part of the log
// that it refers to. A message is read to its end within Options.MessageTimeout, and
// a peer that takes nothing for Options.StallTimeout is closed.
//
// # Closing
//
// The decision to close is made once: by [Conn.Close], for a fault of the peer, or because
// the connection has failed. From then on no message is passed to the [Handler], whose
// Closing is called, and no answer enters the outbox.
package socket
