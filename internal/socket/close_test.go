package socket

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
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
