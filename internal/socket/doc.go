// Package socket owns the server side of WebSocket connections. It is the only
// package that reads and writes them.
//
// The handshake is done by coder/websocket. After it every frame that is sent, pongs and
// close frames included, is sent by [Conn], which pulls whole frames from a [Source] and
// passes as many as it can to the kernel in one system call.
//
// A fixed set of goroutines, the [Pool], writes for all connections. They never wait for a
// connection: they write what the kernel takes at once. A connection that has a full
// buffer, that has no file descriptor (TLS), or whose source must wait for something gets
// its own goroutine, which writes until the connection has caught up.
//
// An idle connection has one goroutine, which only waits for input and therefore needs only
// the smallest stack. When input arrives, it reads a message, starts another goroutine to
// wait in its place, and handles the message.
//
// An open connection has no timer while it is idle: one wheel calls all connections that
// have something due at some time, such as a ping. Timers run only for writes that wait for
// the client, which have a deadline, and for connections that are closing.
//
// # Bounds
//
// A connection holds the message that is being read, for which memory is allocated as its
// bytes arrive, up to Options.ReadLimit; the answers in its [Outbox]; up to 1 KiB of
// control frames; and one batch that is being written, of [BatchSize] bytes and a frame or
// a part of the log that it refers to. A message must arrive within Options.MessageTimeout,
// and a client that takes no bytes for Options.StallTimeout is disconnected.
//
// # Closing
//
// A connection is closed once: by [Conn.Close], because of a fault of the client, or
// because the connection has failed. After that decision no message is passed to the
// [Handler], its Closing is called, and no answer is added to the outbox.
package socket
