package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"

	"github.com/go-orpc/durable-iterator/client"
)

// proxy is a network that can fail, between a client and the rooms.
type proxy struct {
	listener net.Listener
	far      string // host and port of the server
	address  string // of the rooms, through the proxy
	running  sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	cut   bool       // connections are dropped
	conns map[net.Conn]struct{}
	tail  []byte // the last bytes that the clients have sent
}

// proxy starts a proxy to the rooms at an address, until the check ends.
func (t *T) proxy(address string) *proxy {
	u, err := url.Parse(address)
	t.ok(err)
	far := u.Host
	if u.Port() == "" {
		far = net.JoinHostPort(u.Hostname(), u.Scheme) // by the name of the service
		if u.Scheme == "ws" {
			far = net.JoinHostPort(u.Hostname(), "http")
		}
	}
	ln, err := new(net.ListenConfig).Listen(t, "tcp", "127.0.0.1:0")
	t.ok(err)
	u.Host = ln.Addr().String()
	p := &proxy{listener: ln, far: far, address: u.String(), conns: map[net.Conn]struct{}{}}
	p.running.Go(func() { p.serve(t) })
	t.cleanup(p.close)
	return p
}

// through makes iterators go through the proxy.
func (p *proxy) through(o *client.Options) { o.URL = p.address }

func (p *proxy) serve(ctx context.Context) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.join(ctx, near) })
	}
}

// join forwards bytes in both directions until one end is closed, and then closes the
// other.
func (p *proxy) join(ctx context.Context, near net.Conn) {
	defer func() { _ = near.Close() }() // fails if it is closed
	if p.isCut() {
		return
	}
	far, err := new(net.Dialer).DialContext(ctx, "tcp", p.far)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }() // as above
	if !p.add(near, far) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far) // fails if an end is closed, which is what ends it
		_ = near.Close()
	})
	_, _ = io.Copy(far, io.TeeReader(near, p)) // as above
	_ = far.Close()
	back.Wait()
	p.remove(near, far)
}

func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// add adds connections. It returns false if they must not be used.
func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.cut
}

func (p *proxy) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// closeFrame is the length of a close frame of a client that has a code and no reason:
// two bytes of header, the mask, and the masked code.
const closeFrame = 2 + 4 + 2

// Write receives a copy of what a client sends.
func (p *proxy) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, data[max(0, len(data)-closeFrame):]...)
	p.tail = p.tail[max(0, len(p.tail)-closeFrame):]
	return len(data), nil
}

// closeCode returns the code of the last close frame of a client, or 0 if it sent
// none.
func (p *proxy) closeCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.tail; len(f) == closeFrame && f[0] == 0x88 && f[1] == 0x82 {
		return int(binary.BigEndian.Uint16([]byte{f[2] ^ f[6], f[3] ^ f[7]}))
	}
	return 0
}

// drop closes all connections without close frames.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // the error does not matter
	}
}

// block closes all connections, and new ones until mend is called.
func (p *proxy) block() {
	p.setCut(true)
	p.drop()
}

func (p *proxy) mend() { p.setCut(false) }

func (p *proxy) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

// close closes the proxy and waits for its goroutines.
func (p *proxy) close() {
	_ = p.listener.Close() // no connection will follow
	p.block()
	p.running.Wait()
}
