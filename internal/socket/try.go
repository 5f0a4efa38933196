package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// tryWriter is a net.Conn that can be written to without waiting, as one in memory may
// be in a test. n < len(p) with a nil error says that it takes no more now.
type tryWriter interface {
	TryWrite(p []byte) (n int, err error)
}

// trier writes without waiting. It has what that needs besides the connection, once
// for each of those that write and not for each connection.
type trier struct {
	write func(fd uintptr) bool // once, made once: it would escape at each call

	p   []byte
	n   int
	err error
}

func newTrier() *trier {
	t := &trier{}
	t.write = t.once
	return t
}

// descriptor gives nil for a connection without a file descriptor, or where sockets
// cannot be written to without waiting.
func descriptor(nc net.Conn) syscall.RawConn {
	sc, ok := nc.(syscall.Conn)
	if !ok || !canTry {
		return nil
	}
	fd, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return fd
}

// try writes what the connection takes at once.
func (t *trier) try(c *Conn, p []byte) (n int, err error) {
	if c.fd == nil {
		if w, ok := c.wire.(tryWriter); ok {
			return w.TryWrite(p)
		}
		return 0, nil
	}
	t.p = p
	err = c.fd.Write(t.write)
	t.p = nil
	if err == nil && !errors.Is(t.err, syscall.EAGAIN) {
		err = t.err
	}
	if err != nil {
		return 0, fmt.Errorf("socket: write: %w", err)
	}
	return t.n, nil
}

func (t *trier) once(fd uintptr) bool {
	for {
		t.n, t.err = write(fd, t.p)
		if !errors.Is(t.err, syscall.EINTR) {
			break
		}
	}
	t.n = max(t.n, 0)
	return true
}
