// Package transport carries the calls of package rpc over a socket of any kind, in the
// messages of oRPC's peer protocol. It is for programs that bring their own socket; those
// that are content with WebSockets use package websocket.
//
// A peer knows nothing of its socket. Messages come in through its Receive method and go
// out through the Send function of its options: a [ServerPeer] answers calls, and a
// [ClientPeer] makes them. They are oRPC's ServerPeer and ClientPeer.
//
// # Hibernation
//
// A handler whose output is a [Hibernation] opens a stream of events that something else
// sends, as one place that sends the events of many sockets.
package transport
