//go:build !unix

package socket

import "net"

// newTryWriter gives nil where sockets cannot be written to without waiting.
func newTryWriter(nc net.Conn) tryWriter {
	t, _ := nc.(tryWriter)
	return t
}
