package socket

import (
	"bytes"
	"encoding/binary"
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

// A message must be complete some time after its first byte, whatever arrives in between.
func TestMessagesHaveADeadline(t *testing.T) {
	half := masked(finalFrame|opText, strings.Repeat("x", 100))[:50]
	for name, test := range map[string]struct{ first, then []byte }{
		"half a message":            {half, nil},
		"half a header":             {half[:1], nil},
		"a byte now and then":       {half, []byte("x")},
		"a first fragment":          {masked(opText, "x"), nil},
		"empty fragments":           {masked(opText, ""), masked(0, "")},
		"pings between fragments":   {masked(opText, ""), masked(finalFrame|opPing, "")},
		"half a ping":               {masked(finalFrame|opPing, "ping")[:7], nil},
		"half a close frame":        {masked(finalFrame|opClose, "\x03\xe8")[:7], nil},
		"a second message, in part": {append(masked(finalFrame|opText, "one"), half...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 20*time.Second, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				go func() { // reads pings and pongs, up to the close frame
					for {
						if _, _, err := p.tryRead(); err != nil {
							return
						}
					}
				}()
				begin := time.Now()
				_, err := p.nc.Write(test.first)
				for err == nil && len(p.code) == 0 && time.Since(begin) < time.Hour {
					time.Sleep(5 * time.Second)
					_, err = p.nc.Write(test.then)
				}
				require.Equal(t, -1, <-p.code)
				require.GreaterOrEqual(t, time.Since(begin), DefaultMessageTimeout)
				require.LessOrEqual(t, time.Since(begin), DefaultMessageTimeout+6*time.Second)
			})
		})
	}
}

func TestMessageTimeoutIsAnnounced(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		_, err := p.nc.Write(masked(opText, "x"))
		require.NoError(t, err)
		op, payload := p.read()
		require.Equal(t, byte(opClose), op)
		require.Equal(t, 1008, int(binary.BigEndian.Uint16([]byte(payload))))
		<-p.code
	})
}

func TestSlowMessageArrives(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		for range 10 {
			for _, b := range masked(finalFrame|opText, "slow") {
				_, err := p.nc.Write([]byte{b})
				require.NoError(t, err)
				time.Sleep(2 * time.Second)
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		require.Len(t, p.got, 10)
		p.end()
	})
}

// waiting is a Handler that keeps its reader waiting until the connection closes or next
// receives a value.
type waiting struct {
	*peer
	next    chan struct{}
	closing chan struct{}
}

func (w waiting) Receive(message []byte, binary bool) (run func()) {
	select {
	case <-w.next:
		return w.peer.Receive(message, binary)
	case <-w.closing:
		return nil
	}
}

func (w waiting) Closing() { close(w.closing) }

// While the handler keeps the reader waiting nothing is read, and the client's silence does
// not count. Closing ends the wait.
func TestWaitingReader(t *testing.T) {
	for name, end := range map[string]func(w waiting){
		"close":      func(w waiting) { w.conn.Close(1000, "") },
		"kill":       func(w waiting) { w.conn.Kill() },
		"the stall":  func(w waiting) { w.conn.src.(*script).feed("unread"); w.conn.Wake() },
		"the client": func(w waiting) { w.next <- struct{}{}; synctest.Wait(); _ = w.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				pool := NewPool(1, 30*time.Second)
				w := waiting{accept(t, pool, &script{}, server, client, ""), make(chan struct{}), make(chan struct{})}
				w.conn.Serve(w)
				w.send(opText, "one")
				for range 10 {
					time.Sleep(time.Minute)
					require.Empty(t, w.code)
				}
				w.next <- struct{}{}
				w.send(opText, "two")
				time.Sleep(time.Minute / 3)
				require.Equal(t, []string{"one"}, w.got)
				end(w)
				require.Equal(t, -1, <-w.code)
				<-w.closing
				pool.Close()
			})
		})
	}
}

// A client that takes some bytes now and then is kept, even if it cannot answer pings,
// which are queued behind other frames. One that takes nothing for the stall timeout is
// disconnected with code 1013, and nothing more is read from it.
func TestStalledPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		pool, src := NewPool(1, 30*time.Second), &script{}
		p := connect(t, pool, src, server, client)
		for range 100 {
			src.feed(strings.Repeat("x", 5000))
		}
		p.conn.Wake()
		for range 100 {
			time.Sleep(DefaultStallTimeout - time.Second)
			p.read()
		}
		require.Empty(t, p.code)
		src.feed("unread")
		p.conn.Wake()
		begin := time.Now()
		require.Equal(t, -1, <-p.code)
		require.Equal(t, DefaultStallTimeout, time.Since(begin))
		var rest bytes.Buffer
		_, _ = rest.ReadFrom(p.br)
		require.Contains(t, rest.String(), "Too slow", "it gets the reason if it reads again")
		_, err := p.nc.Write([]byte("x"))
		require.Error(t, err)
		pool.Close()
	})
}

// records is a connection like one with TLS: it takes whole writes, each after a while, and
// none after a timeout.
type records struct {
	net.Conn

	pace     atomic.Int64 // duration of a write, in nanoseconds
	mu       sync.Mutex
	deadline time.Time
	broken   bool
	taken    int
	largest  int
}

func (r *records) SetWriteDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadline = t
	return nil
}

func (r *records) Write(p []byte) (int, error) {
	pace := time.Duration(r.pace.Load())
	if pace == 0 {
		return r.Conn.Write(p)
	}
	r.mu.Lock()
	left := time.Until(r.deadline)
	r.broken = r.broken || left < pace
	broken := r.broken
	r.mu.Unlock()
	if broken {
		time.Sleep(left)
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(pace)
	r.taken += len(p)
	r.largest = max(r.largest, len(p))
	return len(p), nil
}

// Over TLS a client is kept that takes one record within each stall timeout. One that takes
// none is disconnected, not much later than the timeout.
func TestStalledPeerOverTLS(t *testing.T) {
	t.Parallel()
	const batches = 5
	for pace, kept := range map[time.Duration]bool{
		time.Second:                            true,
		DefaultStallTimeout - time.Millisecond: true,
		DefaultStallTimeout*9/8 + time.Second:  false,
	} {
		t.Run(pace.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				slow := &records{Conn: server}
				pool := NewPool(1, 0)
				src := &endless{left: batches, frame: make([]byte, BatchSize), done: make(chan struct{})}
				p := connect(t, pool, src, slow, client)
				slow.pace.Store(int64(pace))
				begin := time.Now()
				p.conn.Wake()
				if kept {
					<-src.done
					require.Equal(t, batches*BatchSize, slow.taken)
					require.Equal(t, blindChunk, slow.largest)
					require.Empty(t, p.code)
					slow.pace.Store(0)
					p.end()
				} else {
					require.Equal(t, -1, <-p.code)
					require.LessOrEqual(t, time.Since(begin), DefaultStallTimeout*9/8)
					require.Zero(t, slow.taken)
				}
				pool.Close()
			})
		})
	}
}
