// Package socket owns the server side of WebSocket connections. It is the only
// package that writes to them.
//
// coder/websocket does the handshake and the reading. Everything that goes out,
// its pongs and close frames included, goes through [Conn], which asks a
// [Source] for whole frames and hands them to the kernel, as many as there are
// in one system call.
//
// A fixed set of goroutines, the [Pool], writes for all connections and never
// waits for one of them: it writes what the kernel takes at once. A connection
// that is full, that has no file descriptor (TLS), or whose source has to wait
// for something gets a goroutine of its own until it has caught up.
//
// An idle connection has one goroutine, which does nothing but wait for input, for
// which the smallest stack is enough. When it meets some, it reads a message, starts
// another one to wait in its place, and deals with what it has read. Silent peers and
// whatever else is due at some time are looked after by one wheel, so no connection
// has a timer.
//
// Nothing is queued per connection but short control frames. What a connection
// still has to get is known to its source, usually as a position in a log.
package socket
