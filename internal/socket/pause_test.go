package socket

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// eachPause runs a test for pauses of the server that are shorter and longer than its
// timeouts, with and without pings.
func eachPause(t *testing.T, test func(t *testing.T, pool *Pool, pause time.Duration)) {
	t.Helper()
	t.Parallel()
	for _, ping := range []time.Duration{0, 30 * time.Second} {
		for _, pause := range []time.Duration{29 * time.Second, 31 * time.Second, 58 * time.Second, 2 * time.Minute, time.Hour} {
			t.Run(fmt.Sprintf("%v, pings after %v", pause, ping), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					pool := NewPool(1, ping)
					test(t, pool, pause)
					pool.Close()
				})
			})
		}
	}
}

// answerPings reads what the server sends, and answers its pings, until the connection is
// closed.
func (p *peer) answerPings() {
	for {
		op, _, err := p.tryRead()
		if err != nil {
			return
		}
		if op == opPing {
			_, _ = p.nc.Write(masked(finalFrame|opPong, ""))
		}
	}
}

// pauser is a Handler that keeps its reader waiting before each message.
type pauser struct {
	*peer
	pause time.Duration
	run   bool // Receive returns a function
}

func (h pauser) Receive(message []byte, binary bool) (run func()) {
	time.Sleep(h.pause)
	h.peer.Receive(message, binary)
	if h.run {
		return func() {}
	}
	return nil
}

// The time for which the handler keeps the reader waiting does not count for the message of
// which a part has arrived before.
func TestMessagesHaveTheirTimeAfterAPause(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		for _, run := range []bool{false, true} {
			server, client := net.Pipe()
			p := accept(t, pool, &script{}, server, client, "")
			p.conn.Serve(pauser{p, pause, run})
			go p.answerPings()
			last := masked(finalFrame|opText, strings.Repeat("x", 100))
			first := slices.Concat(masked(finalFrame|opText, "one"), masked(finalFrame|opText, "two"), last[:50])
			_, err := client.Write(first)
			require.NoError(t, err)
			time.Sleep(2*pause + DefaultMessageTimeout - time.Second)
			_, err = client.Write(last[50:])
			require.NoError(t, err)
			time.Sleep(pause + time.Second)
			synctest.Wait()
			code, _ := p.conn.CloseCode()
			require.Zero(t, code)
			require.Len(t, p.got, 3)
			p.end()
		}
	})
}

// After a pause of the server a message has no more time than another.
func TestMessagesHaveADeadlineAfterAPause(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		server, client := net.Pipe()
		p := accept(t, pool, &script{}, server, client, "")
		p.conn.Serve(pauser{p, pause, false})
		go p.answerPings()
		begin := time.Now()
		_, err := client.Write(append(masked(finalFrame|opText, "one"), finalFrame|opText))
		require.NoError(t, err)
		require.Equal(t, -1, <-p.code)
		code, _ := p.conn.CloseCode()
		require.Equal(t, statusPolicy, code)
		require.GreaterOrEqual(t, time.Since(begin), pause+DefaultMessageTimeout)
		require.LessOrEqual(t, time.Since(begin), pause+DefaultMessageTimeout+time.Second)
	})
}

// A client whose messages keep the reader waiting, one after the other, is not silent.
func TestPausesAreNotSilence(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		server, client := net.Pipe()
		p := accept(t, pool, &script{}, server, client, "")
		p.conn.Serve(pauser{p, pause, false})
		go p.answerPings()
		_, err := client.Write(slices.Repeat(masked(finalFrame|opText, "x"), 10))
		require.NoError(t, err)
		time.Sleep(10*pause + time.Second)
		synctest.Wait()
		code, _ := p.conn.CloseCode()
		require.Zero(t, code)
		require.Len(t, p.got, 10)
		p.end()
	})
}

// The time between Accept and Serve does not count as silence.
func TestConnectionThatIsServedLate(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		server, client := net.Pipe()
		p := accept(t, pool, &script{}, server, client, "")
		time.Sleep(pause)
		p.conn.Serve(p)
		if ping := pool.ping; ping > 0 {
			begin := time.Now()
			op, _ := p.read()
			require.Equal(t, byte(opPing), op)
			require.GreaterOrEqual(t, time.Since(begin), ping)
		}
		go p.answerPings()
		p.send(opPong, "")
		time.Sleep(time.Hour)
		code, _ := p.conn.CloseCode()
		require.Zero(t, code)
		p.end()
	})
}

// While the source has to be waited for, no ping can be sent, and the client's silence does
// not count.
func TestSilenceWhileTheSourceHangs(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		server, client := net.Pipe()
		src := &stuck{release: make(chan struct{})}
		p := connect(t, pool, src, server, client)
		p.conn.Wake()
		go p.answerPings()
		time.Sleep(pause)
		close(src.release)
		time.Sleep(time.Hour)
		code, _ := p.conn.CloseCode()
		require.Zero(t, code)
		p.end()
	})
}

// held is a Source whose first visit takes long, which holds up those of other connections.
type held struct {
	script
	pause time.Duration
}

func (h *held) Visit(time.Time) (again time.Time) {
	time.Sleep(h.pause)
	h.pause = 0
	return again
}

// A client that was not pinged in time is not closed, since it could not answer.
func TestSilenceWhilePingsAreLate(t *testing.T) {
	eachPause(t, func(t *testing.T, pool *Pool, pause time.Duration) {
		p := pipe(t, pool, &script{})
		go p.answerPings()
		time.Sleep(time.Minute / 4)
		slow := pipe(t, pool, &held{pause: pause})
		go slow.answerPings()
		time.Sleep(pause + time.Hour)
		for _, p := range []*peer{p, slow} {
			code, _ := p.conn.CloseCode()
			require.Zero(t, code)
			p.end()
		}
	})
}
