package socket

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// blocking is a connection that counts the writes that may block.
type blocking struct {
	*net.TCPConn

	writes atomic.Int64
}

func (b *blocking) Write(p []byte) (int, error) {
	b.writes.Add(1)
	return b.TCPConn.Write(p)
}

// Bytes that the kernel takes at once are written by the writer, not by a goroutine that
// would wait for the client.
func TestSmallWritesNeedNoGoroutine(t *testing.T) {
	t.Parallel()
	pool, src := NewPool(1, 0), &script{}
	server, client := overTCP(t)
	wire := &blocking{TCPConn: server.(*net.TCPConn)}
	p := connect(t, pool, src, wire, client)
	wire.writes.Store(0) // the response to the handshake
	for i := range 100 {
		for range 3 { // the last one is a shared part of the batch
			src.feed(fmt.Sprint(i))
		}
		p.conn.Wake()
		for range 3 {
			_, got := p.read()
			require.Equal(t, fmt.Sprint(i), got)
		}
	}
	p.conn.Close(1000, "")
	op, _ := p.read()
	require.Equal(t, byte(opClose), op)
	require.Zero(t, wire.writes.Load())
	p.end()
	pool.Close()
}

// ample is a connection in memory that takes all bytes at once.
type ample struct {
	net.Conn

	taken atomic.Int64
}

func (a *ample) TryWrite(p []byte) (int, error) {
	a.taken.Add(int64(len(p)))
	return len(p), nil
}

// One Wake is enough for all that the source has, however many turns of the writer that
// takes.
func TestOneWakeSendsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, src := NewPool(1, 0), &script{}
		server, client := net.Pipe()
		wire := &ample{Conn: server}
		p := connect(t, pool, src, wire, client)
		var fed int64
		for range 10 * maxRounds {
			src.feed(strings.Repeat("x", BatchSize))
			fed += int64(len(AppendHeader(nil, false, BatchSize)) + BatchSize)
		}
		p.conn.Wake()
		synctest.Wait()
		require.Equal(t, fed, wire.taken.Load())
		_, bytes := pool.Traffic()
		require.EqualValues(t, fed, bytes)
		p.end()
		pool.Close()
	})
}

// A Wake while a slow connection is being written to is not lost.
func TestWakeDuringASlowWrite(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		src := &script{}
		p := pipe(t, pool, src)
		for i := range 10 {
			src.feed(fmt.Sprint("slow", i))
			p.conn.Wake()
			synctest.Wait() // it is being written
			src.feed(fmt.Sprint("next", i))
			p.conn.Wake()
			synctest.Wait()
			_, got := p.read()
			require.Equal(t, fmt.Sprint("slow", i), got)
			_, got = p.read()
			require.Equal(t, fmt.Sprint("next", i), got)
		}
		synctest.Wait()
		_, bytes := pool.Traffic()
		require.EqualValues(t, 20*len("\x81\x05slow0"), bytes)
		p.end()
	})
}

// Whatever part of a batch the kernel takes at once, the client receives all of it, in
// order.
func TestPartialWrites(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		server, client := net.Pipe()
		src := &script{}
		p := connect(t, pool, src, &choppy{server, rand.New(rand.NewPCG(3, 4))}, client)
		for i := range 300 {
			n := 1 + i%6
			for j := range n {
				src.feed(fmt.Sprint(i, j))
			}
			p.conn.Wake()
			for j := range n {
				_, got := p.read()
				require.Equal(t, fmt.Sprint(i, j), got)
			}
			synctest.Wait()
		}
		p.end()
	})
}

// A socket buffer that has no room at all is waited for, as one that has some.
func TestFullKernelBuffer(t *testing.T) {
	t.Parallel()
	pool, src := NewPool(1, 0), &script{}
	server, client := overTCP(t)
	p := connect(t, pool, src, server, client)
	var filled int
	require.NoError(t, descriptor(server).Write(func(fd uintptr) bool {
		for chunk := make([]byte, 64<<10); ; {
			n, err := write(fd, chunk)
			if err != nil {
				return true
			}
			filled += n
		}
	}))
	src.feed("after all that")
	p.conn.Wake()
	_, err := io.CopyN(io.Discard, p.br, int64(filled))
	require.NoError(t, err)
	_, got := p.read()
	require.Equal(t, "after all that", got)
	p.end()
	pool.Close()
}

// faulty is a connection that cannot be written to after its handshake.
type faulty struct {
	net.Conn

	broken atomic.Bool
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.broken.Load() {
		return 0, io.ErrClosedPipe
	}
	return f.Conn.Write(p)
}

// faultyAtOnce also fails when it is written to without waiting.
type faultyAtOnce struct{ faulty }

func (f *faultyAtOnce) TryWrite(p []byte) (int, error) { return f.Write(p) }

// A connection that cannot be written to is closed, even if it could be read.
func TestConnectionThatCannotBeWritten(t *testing.T) {
	for name, wrap := range map[string]func(nc net.Conn) (net.Conn, *faulty){
		"by waiting": func(nc net.Conn) (net.Conn, *faulty) { f := &faulty{Conn: nc}; return f, f },
		"at once": func(nc net.Conn) (net.Conn, *faulty) {
			f := &faultyAtOnce{faulty{Conn: nc}}
			return f, &f.faulty
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
				server, client := net.Pipe()
				wire, fault := wrap(server)
				src := &script{}
				p := connect(t, pool, src, wire, client)
				fault.broken.Store(true)
				src.feed("lost")
				begin := time.Now()
				p.conn.Wake()
				require.Equal(t, -1, <-p.code)
				require.Zero(t, time.Since(begin))
				_, _, err := p.tryRead()
				require.ErrorIs(t, err, io.EOF)
				code, byPeer := p.conn.CloseCode()
				require.Equal(t, StatusAbnormal, code)
				require.False(t, byPeer)
			})
		})
	}
}

// punctual is a connection like one over TCP: it takes nothing at once while it is full,
// and no write succeeds after its deadline.
type punctual struct {
	net.Conn

	mu       sync.Mutex
	full     bool
	deadline time.Time
}

func (u *punctual) SetWriteDeadline(t time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.deadline = t
	return u.Conn.SetWriteDeadline(t)
}

func (u *punctual) fill(full bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.full = full
}

func (u *punctual) TryWrite(p []byte) (int, error) {
	u.mu.Lock()
	full, deadline := u.full, u.deadline
	u.mu.Unlock()
	switch {
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return 0, os.ErrDeadlineExceeded
	case full:
		return 0, nil
	}
	return u.Write(p)
}

// The deadline of a slow write does not outlive it.
func TestWriteLongAfterASlowOne(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		server, client := net.Pipe()
		wire, src := &punctual{Conn: server}, &script{}
		p := connect(t, pool, src, wire, client)
		for _, full := range []bool{true, false, true, false} {
			wire.fill(full)
			src.feed("x")
			p.conn.Wake()
			time.Sleep(DefaultStallTimeout / 2)
			_, got := p.read()
			require.Equal(t, "x", got)
			time.Sleep(time.Hour)
		}
		p.end()
	})
}
