package main

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is a connection of a client to the server.
type link struct {
	client, server *net.TCPConn
	ctx            context.Context // ends with the link
	end            context.CancelFunc
	passed         atomic.Bool // the server has answered something
	forced         atomic.Bool // the proxy has ended it
	struck         bool        // belongs to the proxy

	// left is the number of bytes that are forwarded to the client before the link is cut.
	// If it is negative, the link is not cut.
	left atomic.Int64

	// mu guards the fields below. delay is how long bytes are delayed. While stalled is not
	// nil nothing is forwarded; it is closed when the stall ends.
	mu      sync.Mutex
	delay   time.Duration
	stalled chan struct{}
}

func newLink(client, server *net.TCPConn) *link {
	l := &link{client: client, server: server}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.left.Store(-1)
	return l
}

// run returns when both directions have ended.
func (l *link) run() {
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.server, l.client, nil) })
	both.Go(func() { l.pump(l.client, l.server, &l.left) })
	both.Wait()
	l.end()
	_ = l.client.Close()
	_ = l.server.Close()
}

// pump copies data from one side to the other until it ends, and then closes the write side
// of the other. If left is not nil, it limits the number of bytes.
func (l *link) pump(to, from *net.TCPConn, left *atomic.Int64) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		l.hold()
		if left != nil && n > 0 {
			if rest := left.Load(); rest >= 0 && int64(n) > rest {
				_, _ = to.Write(b[:rest])
				l.drop()
				return
			} else if rest >= 0 {
				left.Add(int64(-n))
			}
		}
		if _, failed := to.Write(b[:n]); failed != nil {
			_, _ = io.Copy(io.Discard, from) // half-closed
			return
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
		if to == l.client {
			l.passed.Store(true)
		}
	}
}
