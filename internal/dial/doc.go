// Package dial is the client side of WebSocket connections. It opens them, and sends the
// messages that wait at a time with one write.
package dial
