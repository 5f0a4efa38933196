//go:build unix

package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// newTryWriter gives nil for a connection without a file descriptor.
func newTryWriter(nc net.Conn) tryWriter {
	if t, ok := nc.(tryWriter); ok {
		return t
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	t := &descriptor{raw: raw}
	t.write = t.writeOnce
	return t
}

// descriptor is used by the owner of the write side only.
type descriptor struct {
	raw   syscall.RawConn
	write func(fd uintptr) bool // writeOnce, made once: it would escape at each call

	p   []byte
	n   int
	err error
}

func (d *descriptor) TryWrite(p []byte) (int, error) {
	d.p = p
	err := d.raw.Write(d.write)
	d.p = nil
	if err != nil {
		return 0, fmt.Errorf("socket: write: %w", err)
	}
	if errors.Is(d.err, syscall.EAGAIN) {
		return 0, nil
	}
	if d.err != nil {
		return 0, fmt.Errorf("socket: write: %w", d.err)
	}
	return d.n, nil
}

func (d *descriptor) writeOnce(fd uintptr) bool {
	for {
		d.n, d.err = syscall.Write(int(fd), d.p)
		if !errors.Is(d.err, syscall.EINTR) {
			break
		}
	}
	d.n = max(d.n, 0)
	return true
}
