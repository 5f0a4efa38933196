package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// proxy forwards connections to a server, and disturbs some of them.
type proxy struct {
	listener net.Listener
	dropped  func()
	ended    sync.WaitGroup

	// mu guards the fields below. target is empty while the server is down. links are
	// the open connections. Once calm is set, no connection is slow.
	mu     sync.Mutex
	random *rand.Rand
	target string
	links  map[*link]struct{}
	calm   bool
}

// startProxy starts a proxy. dropped is called for each connection that the proxy itself
// has ended.
func startProxy(random *rand.Rand, dropped func()) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, dropped: dropped, random: random, links: map[*link]struct{}{}}
	p.ended.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// point makes addr the server of new connections. While it is empty they are refused.
func (p *proxy) point(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// soothe removes all faults from the connections.
func (p *proxy) soothe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calm = true
	for l := range p.links {
		l.soothe()
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for l := range p.links {
		l.cut()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		client, ok := c.(*net.TCPConn)
		if !ok {
			return
		}
		p.ended.Go(func() { p.serve(client) })
	}
}

// serve forwards one connection.
func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.Dial("tcp", target)
	server, ok := c.(*net.TCPConn)
	if err != nil || !ok {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	l := newLink(client, server)
	p.mu.Lock()
	if !p.calm {
		l.slow(p.random)
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	if l.forced.Load() {
		p.dropped()
	}
}

// strike causes a fault of one of the open connections. It returns false if each of them
// has already had one.
func (p *proxy) strike() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links { // in no order
		if l.passed.Load() && !l.struck {
			l.struck = true
			l.suffer(p.random)
			return true
		}
	}
	return false
}
