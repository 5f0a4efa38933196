package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// fault is a fault that a proxy causes.
type fault int32

const (
	healthy    fault = iota
	cut              // closes them, and refuses new ones
	stalled          // forwards nothing in either direction
	halfClosed       // closes the direction to the client, once
	leaking          // drops some of the republished messages
	faults
)

func (f fault) String() string {
	return [...]string{"healthy", "cuts", "stalls", "half-closes", "leaks"}[f]
}

// leakEvery is the number of messages of which a leaking proxy drops one.
const leakEvery = 3

// proxy forwards connections: of a hub or a server to a NATS server, or of clients to a
// hub.
type proxy struct {
	listener net.Listener
	to       func() string                                      // the address, which may change
	back     func(p *proxy, to io.Writer, from io.Reader) error // forwards the data from there
	fault    atomic.Int32
	dropped  atomic.Int64
	messages atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool // incoming
}

func newProxy(to func() string, back func(p *proxy, to io.Writer, from io.Reader) error) (*proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, to: to, back: back, conns: map[net.Conn]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) is(f fault) bool { return fault(p.fault.Load()) == f }

// set sets the fault, which replaces the previous one.
func (p *proxy) set(f fault) {
	p.fault.Store(int32(f))
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		tcp, ok := c.(*net.TCPConn)
		switch {
		case f == cut:
			_ = c.Close()
		case f == halfClosed && ok:
			_ = tcp.CloseWrite()
		}
	}
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *proxy) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if p.is(cut) {
		return
	}
	d, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.to())
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	go func() {
		defer func() { _ = c.Close() }()
		_ = p.back(p, c, d)
	}()
	_ = passBytes(p, d, c)
}

// passBytes forwards bytes while the proxy is not stalled.
func passBytes(p *proxy, to io.Writer, from io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.await()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// await waits while the proxy is stalled.
func (p *proxy) await() {
	for p.is(stalled) {
		time.Sleep(10 * time.Millisecond)
	}
}

// republished is the prefix of the subjects of republished events.
var republished = []byte("dil.")

// passMessages forwards the messages of a NATS server to a client, one by one.
func passMessages(p *proxy, to io.Writer, from io.Reader) error {
	in := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) { // the INFO of a server may be long
				if _, err = to.Write(line); err == nil {
					continue
				}
			}
			return err
		}
		out, live, err := readRest(in, line)
		if err != nil {
			return err
		}
		if live && p.is(leaking) && p.messages.Add(1)%leakEvery == 0 {
			p.dropped.Add(1)
			continue
		}
		p.await()
		if _, err := to.Write(out); err != nil {
			return err
		}
	}
}

// readRest returns a line of the server and the body of the message that it announces, if
// it does, and reports whether that is a republished event.
func readRest(in io.Reader, line []byte) (out []byte, live bool, err error) {
	out = bytes.Clone(line)
	fields := bytes.Fields(out)
	if len(fields) <= 3 || (string(fields[0]) != "MSG" && string(fields[0]) != "HMSG") {
		return out, false, nil
	}
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return nil, false, err
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, false, err
	}
	return append(out, body...), bytes.HasPrefix(fields[1], republished), nil
}
