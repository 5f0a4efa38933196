// Package transport makes and answers calls of package rpc over sockets of any kind, with the
// messages of oRPC's peer protocol. For WebSockets, use package websocket instead.
//
// A [ServerPeer] answers calls, and a [ClientPeer] makes them. Pass received messages to the
// Receive method of a peer; it sends messages with the Send function of its options. They are
// oRPC's ServerPeer and ClientPeer.
//
// # Hibernation
//
// A handler whose output is a [Hibernation] opens a stream of events that the application sends
// by other means than the peer, for example together with the events of many other sockets.
package transport
