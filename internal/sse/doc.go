// Package sse reads and writes the event streams of oRPC v1 over HTTP:
// server-sent events, the body of a message of type text/event-stream.
//
// A server puts its events into a [Writer], which sends each one at once and
// keeps the connection alive with comments while there are none. A client gets
// them from a [Reader], one by one, as soon as each is complete. [Append] is the
// codec alone.
//
// The data of a message is opaque here. oRPC puts one line of JSON into it, but
// any text passes. Names of events and their metadata are those of package peer,
// since they mean the same on both wires; [Message.Kind] says what an event that
// was read means.
//
// # Bounds
//
// A Reader takes messages up to a limit and refuses a longer one before it has
// all of it. It holds a small multiple of that limit at most; empty comments cost
// most, since each takes 16 bytes for the two that it has on the wire. A Writer
// holds one message.
//
// # Concurrency
//
// A Reader, and a Writer, is for one goroutine at a time. The only goroutine that
// is started here is the keepalive of a Writer, which [Writer.Close] joins.
package sse
