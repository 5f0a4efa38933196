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
// A body is kept as it is on the wire, JSON or bytes. Its meaning
// (values, forms, files) is for the layers above. So are the headers that
// belong to a kind of body: the sender of a file sets Content-Type and
// Content-Disposition, the sender of JSON neither.
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
// Nothing here grows with what is received. An id has at most [MaxID] bytes. On a client,
// a stream that is not read fails with [ErrOverflow]. On a server, requests beyond
// MaxCalls wait as frames, whose bytes are counted together with those of running
// requests and of unread events; beyond MaxBytes Receive waits. See [ServerOptions]. The
// size of a single frame is limited by the socket.
//
// # Concurrency
//
// The codec has no state. All methods of [Client], [Stream] and [Server] may
// be called from any goroutine, but Receive from one at a time. Both types have
// a Wait method that joins every goroutine they have started.
package peer
