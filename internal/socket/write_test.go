package socket

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
		src.feed(fmt.Sprint(i))
		src.feed(strings.Repeat("x", i))
		p.conn.Wake()
		_, got := p.read()
		require.Equal(t, fmt.Sprint(i), got)
		_, got = p.read()
		require.Len(t, got, i)
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
		p.end()
	})
}
