// Package sse reads and writes the event streams of oRPC v1 over HTTP: server-sent
// events, in the body of a message of type text/event-stream.
//
// A server writes its events to a [Writer], which sends each one at once, and keeps the
// connection alive with comments while there are none. A client reads them from a
// [Reader], one at a time, as soon as each is complete. [Append] is the codec alone.
//
// The data of a message is opaque. oRPC sends one line of JSON, but any text can be
// sent. The names of events and their metadata are those of package peer, because they
// are the same on both wires. [Message.Kind] interprets an event that was received.
//
// # Limits
//
// A Reader has a limit for a message, and returns an error before it has read all of a
// longer one. It uses a small multiple of the limit in memory: 16 bytes for an empty
// comment, which has two bytes on the wire, is the most. A Writer holds one message.
//
// # Concurrency
//
// Readers and Writers are not safe for concurrent use. The only goroutine is the
// keepalive of a Writer, which [Writer.Close] waits for.
package sse
