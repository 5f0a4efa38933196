// Package peer implements the oRPC v1 peer protocol: many requests, responses and event
// streams in the frames of one WebSocket.
//
// The package has two layers. The codec converts between frames and messages:
// [DecodeRequest] and [EncodeRequest] for the messages of a client, [DecodeResponse] and
// [EncodeResponse] for those of a server, [AppendEvent] and [AppendAbort] for those of
// both. On top of it, [Client] matches answers to the calls that wait for them, and
// [Server] runs a handler for each request. Neither knows anything about sockets: they send
// frames with a function and receive them by a Receive method.
//
// A body is kept as it was received, JSON or bytes. The layers above interpret it as a
// value, a form or a file. They also set the headers that belong to a kind of body:
// Content-Type and Content-Disposition for a file, neither for JSON.
//
// # Ordering
//
// Receive is called by one reader, one frame after another, and each frame is
// decoded before Receive returns. Text and binary frames therefore never
// overtake each other. A client sends the request before the abort of the same
// id. A server sends the response before the events of the same id.
//
// # Bounds
//
// Everything that is kept of received frames is bounded. An id has at most [MaxID] bytes.
// On a client, a stream that is not read fails with [ErrOverflow]. On a server, requests
// beyond MaxCalls wait as frames, whose bytes are counted together with those of running
// requests and of unread events; beyond MaxBytes Receive waits. See [ServerOptions]. The
// socket limits the size of a single frame.
//
// # Concurrency
//
// The codec has no state. All methods of [Client], [Stream] and [Server] are safe for
// concurrent use, except Receive, which must be called by one goroutine at a time. Client
// and Server have a Wait method that waits for all goroutines that they have started.
package peer
