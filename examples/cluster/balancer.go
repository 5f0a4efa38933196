package main

import (
	"io"
	"net"
	"sync/atomic"
)

// balancer sends each connection to the next server that accepts it, like a load balancer
// that does not know channels.
type balancer struct {
	net.Listener
	servers []string
	next    atomic.Int64
}

func newBalancer(servers ...string) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{Listener: l, servers: servers}
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			go b.pass(c)
		}
	}()
	return b, nil
}

func (b *balancer) pass(c net.Conn) {
	defer c.Close()
	for range b.servers {
		d, err := net.Dial("tcp", b.servers[b.next.Add(1)%int64(len(b.servers))])
		if err != nil {
			continue
		}
		defer d.Close()
		go func() {
			_, _ = io.Copy(d, c) // when one direction ends, both end
			_ = d.Close()
		}()
		_, _ = io.Copy(c, d)
		return
	}
}
