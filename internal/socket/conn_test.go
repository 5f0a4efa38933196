package socket

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a Source that adds the frames that it was fed, in order.
type script struct {
	mu     sync.Mutex
	frames [][]byte
	slow   bool // the next frames have to be waited for
	waits  int
}

func (s *script) feed(payload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, append(AppendHeader(nil, false, len(payload)), payload...))
}

func (s *script) Pull(b *Batch, wait bool) More {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow && len(s.frames) > 0 {
		if !wait {
			return WouldBlock
		}
		s.waits++
	}
	for len(s.frames) > 0 && len(b.Own) < BatchSize {
		if len(s.frames)%3 == 0 {
			b.Shared, s.frames = s.frames[0], s.frames[1:]
			break
		}
		b.Own = append(b.Own, s.frames[0]...)
		s.frames = s.frames[1:]
	}
	if len(s.frames) > 0 {
		return Some
	}
	return None
}

func (s *script) Visit(time.Time) (again time.Time) { return again }

// choppy is a net.Conn whose TryWrite writes a part of what it is passed.
type choppy struct {
	net.Conn
	rnd *rand.Rand
}

func (c *choppy) TryWrite(p []byte) (int, error) {
	n := c.rnd.IntN(len(p) + 1)
	if n == 0 {
		return 0, nil
	}
	return c.Write(p[:n])
}

// handshake is a ResponseWriter whose connection is nc.
type handshake struct {
	*httptest.ResponseRecorder
	nc    net.Conn
	early string // the bytes that arrived after the request
}

func (h handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	br := bufio.NewReader(io.MultiReader(strings.NewReader(h.early), h.nc))
	_, err := br.Peek(len(h.early))
	return h.nc, bufio.NewReadWriter(br, bufio.NewWriter(h.nc)), err
}

// peer is the client's end of a connection.
type peer struct {
	t    *testing.T
	nc   net.Conn
	br   *bufio.Reader
	conn *Conn
	code chan int
	got  []string // messages
	bin  []bool   // whether each of them was binary
	size []int    // the capacity of each
}

// connect accepts a connection over server and serves it.
func connect(t *testing.T, pool *Pool, src Source, server, client net.Conn) *peer {
	t.Helper()
	return connectEarly(t, pool, src, server, client, "")
}

func connectEarly(t *testing.T, pool *Pool, src Source, server, client net.Conn, early string) *peer {
	t.Helper()
	p := accept(t, pool, src, server, client, early)
	p.conn.Serve(p)
	return p
}

// accept accepts a connection without serving it.
func accept(t *testing.T, pool *Pool, src Source, server, client net.Conn, early string) *peer {
	t.Helper()
	return acceptLimit(t, pool, src, server, client, early, 1<<10)
}

func acceptLimit(t *testing.T, pool *Pool, src Source, server, client net.Conn, early string, limit int64) *peer {
	t.Helper()
	r := handshakeRequest()
	p := &peer{t: t, nc: client, br: bufio.NewReader(client), conn: &Conn{}, code: make(chan int, 1)}
	status := make(chan int, 1)
	go func() {
		answer, err := http.ReadResponse(p.br, r)
		if err != nil {
			answer = &http.Response{}
		}
		status <- answer.StatusCode
	}()
	require.NoError(t, p.conn.Accept(handshake{httptest.NewRecorder(), server, early}, r, pool, src, Options{ReadLimit: limit}))
	require.Equal(t, http.StatusSwitchingProtocols, <-status)
	return p
}

func handshakeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return r
}

// Receive, Closing and Ended implement Handler.
func (p *peer) Receive(message []byte, binary bool) (run func()) {
	p.got = append(p.got, string(message))
	p.bin = append(p.bin, binary)
	p.size = append(p.size, cap(message))
	return nil
}

func (p *peer) Closing() {}

func (p *peer) Ended(code int) { p.code <- code }

func (p *peer) send(op byte, payload string) {
	p.t.Helper()
	_, err := p.nc.Write(masked(finalFrame|op, payload))
	require.NoError(p.t, err)
}

// masked returns a client's frame, masked with zeros.
func masked(first byte, payload string) []byte {
	frame := appendHeader(nil, first, len(payload))
	frame[0] = first
	frame[1] |= maskedFrame
	return append(append(frame, 0, 0, 0, 0), payload...)
}

func (p *peer) read() (op byte, payload string) {
	p.t.Helper()
	op, payload, err := p.tryRead()
	require.NoError(p.t, err)
	return op, payload
}

func (p *peer) tryRead() (op byte, payload string, err error) {
	var h [2]byte
	if _, err := io.ReadFull(p.br, h[:]); err != nil {
		return 0, "", err
	}
	size := uint64(h[1])
	switch size {
	case 126:
		var n [2]byte
		_, err = io.ReadFull(p.br, n[:])
		size = uint64(binary.BigEndian.Uint16(n[:]))
	case 127:
		var n [8]byte
		_, err = io.ReadFull(p.br, n[:])
		size = binary.BigEndian.Uint64(n[:])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, size)
	_, err = io.ReadFull(p.br, b)
	return h[0] & 0xF, string(b), err
}

func (p *peer) end() {
	_ = p.nc.Close()
	<-p.code
}

func TestFramesArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"no descriptor":  func(c net.Conn) net.Conn { return c },
		"partial writes": func(c net.Conn) net.Conn { return &choppy{c, rand.New(rand.NewPCG(1, 2))} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				pool, src := NewPool(2, 0), &script{}
				p := connect(t, pool, src, wrap(server), client)
				var want []string
				for i := range 300 {
					want = append(want, fmt.Sprint(i, strings.Repeat("x", i*i%70000)))
				}
				go func() {
					for i, w := range want {
						src.feed(w)
						p.conn.Wake()
						if i%50 == 0 {
							p.send(opPing, "ping")
						}
					}
				}()
				var pongs int
				for next := 0; next < len(want) || pongs < 6; {
					op, got := p.read()
					if op == 0xA {
						require.Equal(t, "ping", got)
						pongs++
						continue
					}
					require.Equal(t, want[next], got)
					next++
				}
				p.end()
				pool.Close()
			})
		})
	}
}

func TestSourceThatHasToWaitGetsAGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		pool, src := NewPool(1, 0), &script{slow: true}
		p := connect(t, pool, src, server, client)
		src.feed("late")
		p.conn.Wake()
		_, got := p.read()
		require.Equal(t, "late", got)
		synctest.Wait()
		require.Equal(t, 1, src.waits)
		p.end()
		pool.Close()
	})
}

func TestStalledConnectionHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, 0)
		stalledServer, stalledClient := net.Pipe()
		stalledSrc := &script{}
		stalled := connect(t, pool, stalledSrc, stalledServer, stalledClient)
		stalledSrc.feed("nobody reads this")
		stalled.conn.Wake()
		synctest.Wait()

		server, client := net.Pipe()
		src := &script{}
		p := connect(t, pool, src, server, client)
		for i := range 100 {
			src.feed(fmt.Sprint(i))
			p.conn.Wake()
			_, got := p.read()
			require.Equal(t, fmt.Sprint(i), got)
		}
		start := time.Now()
		require.Equal(t, -1, <-stalled.code, "a client that reads nothing is disconnected")
		require.LessOrEqual(t, time.Since(start), DefaultStallTimeout)
		p.end()
		pool.Close()
	})
}

func TestConnectionIsUsableLongAfterItWasSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		pool, src := NewPool(1, 0), &script{}
		p := connect(t, pool, src, server, client)
		for range 3 {
			src.feed("a")
			p.conn.Wake()
			time.Sleep(2 * DefaultStallTimeout / 3)
			_, got := p.read()
			require.Equal(t, "a", got)
			time.Sleep(10 * DefaultStallTimeout)
		}
		p.end()
		pool.Close()
	})
}

// Over TCP, a connection with a full buffer gets a goroutine, and the bytes written by the
// writer and by that goroutine form one stream.
func TestTCP(t *testing.T) {
	t.Parallel()
	pool, src := NewPool(2, 0), &script{}
	server, client := overTCP(t)
	p := connect(t, pool, src, server, client)
	const n = 400
	for i := range n {
		src.feed(fmt.Sprint(i, strings.Repeat("y", 50_000)))
		p.conn.Wake()
	}
	for i := range n {
		_, got := p.read()
		require.Equal(t, fmt.Sprint(i), strings.TrimRight(got, "y"))
	}
	p.end()
	pool.Close()
}
