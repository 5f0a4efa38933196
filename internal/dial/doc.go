// Package dial implements the client side of WebSocket connections. It opens them, and
// sends the messages that wait with one write.
package dial
