package socket

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClose(t *testing.T) {
	t.Parallel()
	closeFrame := string(binary.BigEndian.AppendUint16(nil, 1008)) + "Token expired"
	t.Run("the source's frames are sent first, and nothing else", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			pool, src := NewPool(1, 0), &script{}
			p := connect(t, pool, src, server, client)
			src.feed("sent")
			p.conn.Close(1008, "Token expired")
			p.conn.Close(1011, "the second one does not count")
			_, got := p.read()
			require.Equal(t, "sent", got)
			src.feed("too late")
			p.conn.Wake()
			op, got := p.read()
			require.Equal(t, byte(opClose), op)
			require.Equal(t, closeFrame, got)
			p.send(opClose, closeFrame)
			require.Equal(t, 1008, <-p.code)
			_, _, err := p.tryRead()
			require.ErrorIs(t, err, io.EOF, "nothing follows a close frame")
			pool.Close()
		})
	})
	t.Run("a peer that does not answer is cut off", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			pool := NewPool(1, 0)
			p := connect(t, pool, &script{}, server, client)
			start := time.Now()
			p.conn.Close(1000, "")
			p.read()
			require.Equal(t, -1, <-p.code)
			require.Equal(t, closeTimeout, time.Since(start))
			pool.Close()
		})
	})
	t.Run("the peer's close frame is answered", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			pool := NewPool(1, 0)
			p := connect(t, pool, &script{}, server, client)
			p.send(opClose, string(binary.BigEndian.AppendUint16(nil, 1000)))
			op, got := p.read()
			require.Equal(t, byte(opClose), op)
			require.True(t, bytes.HasPrefix([]byte(got), binary.BigEndian.AppendUint16(nil, 1000)))
			require.Equal(t, 1000, <-p.code)
			_, _, err := p.tryRead()
			require.ErrorIs(t, err, io.EOF)
			pool.Close()
		})
	})
	t.Run("a message over the limit closes with 1009", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			pool := NewPool(1, 0)
			p := connect(t, pool, &script{}, server, client)
			go func() {
				head := append([]byte{finalFrame | opText, 0x80 | 126}, binary.BigEndian.AppendUint16(nil, 2000)...)
				_, _ = p.nc.Write(append(head, make([]byte, 4+2000)...))
			}()
			op, got := p.read()
			require.Equal(t, byte(opClose), op)
			require.Equal(t, uint16(1009), binary.BigEndian.Uint16([]byte(got)))
			p.end()
			pool.Close()
		})
	})
}

// After the decision to close, no message is passed to the handler.
func TestNothingIsHandedOnAfterClose(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		p.send(opText, "before")
		synctest.Wait()
		p.conn.Close(1013, "enough")
		go func() { p.read() }()
		for range 1000 {
			p.send(opText, "after")
		}
		p.send(opClose, "\x03\xf5")
		require.Equal(t, 1013, <-p.code)
		require.Equal(t, []string{"before"}, p.got)
	})
}

// stuck is a source that does not return from a Pull that may wait.
type stuck struct {
	script

	release chan struct{}
}

func (s *stuck) Pull(_ *Batch, wait bool) More {
	if wait {
		<-s.release
		return None
	}
	return WouldBlock
}

// A source that hangs does not keep a closing connection open.
func TestCloseWhileTheSourceHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		pool, src := NewPool(1, 0), &stuck{release: make(chan struct{})}
		p := connect(t, pool, src, server, client)
		p.conn.Wake()
		synctest.Wait()
		start := time.Now()
		p.conn.Close(1000, "")
		_, _, err := p.tryRead()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 2*closeTimeout, time.Since(start))
		require.Equal(t, -1, <-p.code)
		close(src.release)
		pool.Close()
	})
}

// The close code is the one of the side that has closed first.
func TestCloseCode(t *testing.T) {
	type code struct {
		code   int
		byPeer bool
	}
	for name, test := range map[string]struct {
		end  func(p *peer)
		want code
	}{
		"the server's":                 {func(p *peer) { p.conn.Close(1000, "") }, code{1000, false}},
		"the client's":                 {func(p *peer) { p.send(opClose, "\x03\xe9") }, code{1001, true}},
		"the client's, without a code": {func(p *peer) { p.send(opClose, "") }, code{StatusNone, true}},
		"the client's, with a fault":   {func(p *peer) { p.send(opClose, "x") }, code{statusProtocolError, false}},
		"a fault of the client":        {func(p *peer) { p.send(3, "") }, code{statusProtocolError, false}},
		"none: killed":                 {func(p *peer) { p.conn.Kill() }, code{StatusAbnormal, false}},
		"none: dropped":                {func(p *peer) { _ = p.nc.Close() }, code{StatusAbnormal, false}},
		"both, the server first": {
			func(p *peer) { p.conn.Close(1000, ""); p.send(opClose, "\x03\xe9") }, code{1000, false},
		},
		"both, the client first": {
			func(p *peer) { p.send(opClose, "\x03\xe9"); synctest.Wait(); p.conn.Close(1000, "") }, code{1001, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				var got code
				got.code, got.byPeer = p.conn.CloseCode()
				require.Zero(t, got, "it is open")
				go p.answerPings() // reads the close frame
				test.end(p)
				<-p.code
				got.code, got.byPeer = p.conn.CloseCode()
				require.Equal(t, test.want, got)
			})
		})
	}
}

// Only the first decision to close counts, and Close reports whether it has made it.
func TestCloseReportsTheFirst(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		go p.answerPings()
		require.True(t, p.conn.Close(1000, ""))
		require.False(t, p.conn.Close(1001, ""))
		<-p.code
		require.False(t, p.conn.Close(1001, ""))
		code, _ := p.conn.CloseCode()
		require.Equal(t, 1000, code)
	})
}

// notified is a Handler that counts calls of Closing.
type notified struct {
	*peer

	closings atomic.Int64
}

func (c *notified) Closing() { c.closings.Add(1) }

// Closing is called once, whatever has closed the connection, and whenever.
func TestClosingIsCalledOnce(t *testing.T) {
	for name, test := range map[string]struct{ before, after func(p *peer) }{
		"closed before it is served": {before: func(p *peer) { p.conn.Close(1000, "") }},
		"killed before it is served": {before: func(p *peer) { p.conn.Kill() }},
		"closed":                     {after: func(p *peer) { p.conn.Close(1000, "") }},
		"closed twice":               {after: func(p *peer) { p.conn.Close(1000, ""); p.conn.Close(1001, "") }},
		"closed and killed":          {after: func(p *peer) { p.conn.Close(1000, ""); p.conn.Kill() }},
		"closed by the client":       {after: func(p *peer) { p.send(opClose, "\x03\xe8") }},
		"dropped by the client":      {after: func(p *peer) { _ = p.nc.Close() }},
		"a fault of the client":      {after: func(p *peer) { p.send(3, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				pool := NewPool(1, 0)
				c := &notified{peer: accept(t, pool, &script{}, server, client, "")}
				go c.answerPings() // reads the close frame
				if test.before != nil {
					test.before(c.peer)
				}
				c.conn.Serve(c)
				if test.after != nil {
					synctest.Wait()
					require.Zero(t, c.closings.Load())
					test.after(c.peer)
				}
				<-c.code
				require.EqualValues(t, 1, c.closings.Load())
				pool.Close()
			})
		})
	}
}

// eternal is a Source that always has more to send.
type eternal struct{ script }

func (*eternal) Pull(b *Batch, _ bool) More {
	b.Own = append(b.Own, Frame([]byte("more"), false)...)
	return Some
}

// A source that always has more does not keep a closing connection open.
func TestCloseWhileTheSourceHasMore(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		p := pipe(t, pool, &eternal{})
		p.conn.Wake()
		p.read()
		synctest.Wait() // the next frame is being written
		p.conn.Close(1000, "")
		var frames int
		for op := byte(0); op != opClose; frames++ {
			op, _ = p.read()
		}
		require.LessOrEqual(t, frames, 1+closeBatches+1, "what was being written, what comes before the close frame, and that")
		p.send(opClose, "\x03\xe8")
		require.Equal(t, 1000, <-p.code)
	})
}

// After a fault the connection is read until the client closes it, or for 5 s, so that the
// client sees the close frame even if it goes on to send.
func TestFaultyClientSeesTheCloseFrame(t *testing.T) {
	for name, first := range map[string][]byte{
		"nothing can be read":  masked(3, ""),
		"messages can be read": masked(finalFrame|opText, strings.Repeat("x", 1<<10+1)),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				begin := time.Now()
				_, err := p.nc.Write(first)
				require.NoError(t, err)
				for range closeTimeout/time.Second - 1 {
					time.Sleep(time.Second)
					p.send(opText, "and so on")
				}
				op, _ := p.read()
				require.Equal(t, byte(opClose), op)
				_, _, err = p.tryRead()
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, -1, <-p.code)
				require.LessOrEqual(t, time.Since(begin), closeTimeout)
				require.Empty(t, p.got)
			})
		})
	}
}

// No frame follows a close frame, not even a pong.
func TestNoPongAfterClose(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		p.conn.Close(1000, "")
		op, _ := p.read()
		require.Equal(t, byte(opClose), op)
		p.send(opPing, "too late")
		synctest.Wait()
		go p.send(opClose, "\x03\xe8")
		_, _, err := p.tryRead()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 1000, <-p.code)
	})
}

// A client that does not read the answer to its close frame has 5 s to do so.
func TestAnswerToCloseThatIsNotRead(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		p.send(opClose, "\x03\xe8")
		require.Equal(t, 1000, <-p.code)
		time.Sleep(closeTimeout)
		synctest.Wait()
		_, _, err := p.tryRead()
		require.ErrorIs(t, err, io.EOF)
	})
}

// A connection that wakes a closed pool is closed.
func TestWakeOfAClosedPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, 0)
		p := pipe(t, pool, &script{})
		pool.Close()
		p.conn.Wake()
		_, _, err := p.tryRead()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, -1, <-p.code)
	})
}
