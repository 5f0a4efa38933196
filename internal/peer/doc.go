// Package peer speaks the oRPC v1 peer protocol: many requests, responses and
// event streams side by side in the frames of one WebSocket.
//
// The package has two layers. The codec turns frames into messages and back:
// [DecodeRequest] and [EncodeRequest] for what a client sends, [DecodeResponse]
// and [EncodeResponse] for what a server sends, [AppendEvent] and [AppendAbort]
// for what both send. On top of it, [Client] matches answers to the calls that
// wait for them, and [Server] runs a handler for each request. Neither knows
// anything about sockets: frames go out through a function and come in through
// a Receive method.
//
// A body is kept as it is on the wire, JSON text or bytes. What it means
// (values, forms, files) is for the layers above. So are the headers that
// belong to a kind of body: who sends a file sets Content-Type and
// Content-Disposition, who sends JSON leaves both out.
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
// Nothing here grows with what the other side sends. An id has at most
// [MaxID] bytes, a stream that nobody reads fails with [ErrOverflow], and a
// server refuses requests beyond its limit of calls in flight. The size of a
// single frame is limited by the socket.
//
// # Concurrency
//
// The codec has no state. All methods of [Client], [Stream] and [Server] may
// be called from any goroutine, but Receive from one at a time. Both types have
// a Wait method that joins every goroutine they have started.
package peer
