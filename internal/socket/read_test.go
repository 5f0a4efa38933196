package socket

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inBubble runs a test with a pool and a function that connects to it.
func inBubble(t *testing.T, ping time.Duration, test func(t *testing.T, pool *Pool, connect func() *peer)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, ping)
		test(t, pool, func() *peer { return pipe(t, pool, &script{}) })
		pool.Close()
	})
}

// pipe accepts a connection in memory for a source.
func pipe(t *testing.T, pool *Pool, src Source) *peer {
	t.Helper()
	server, client := net.Pipe()
	return connect(t, pool, src, server, client)
}

// Control frames may arrive between messages and between the fragments of one.
func TestControlFramesBetweenMessages(t *testing.T) {
	ping, pong := masked(finalFrame|opPing, "are you there"), masked(finalFrame|opPong, "")
	first, last := masked(opText, "in "), masked(finalFrame, "pieces")
	stream := slices.Concat(
		pong, ping, masked(finalFrame|opText, "one"),
		ping, ping, pong, masked(finalFrame|opText, strings.Repeat("2", 100)), pong,
		first, ping, pong, masked(0, "two "), ping, last,
		ping,
	)
	const pings = 6
	for name, size := range map[string]int{"at once": len(stream), "byte by byte": 1, "some bytes at a time": 7, "buffers": readBuffer} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				go func() {
					for piece := range slices.Chunk(stream, size) {
						_, _ = p.nc.Write(piece)
						time.Sleep(time.Millisecond)
					}
				}()
				for range pings {
					op, payload := p.read()
					require.Equal(t, byte(opPong), op)
					require.Equal(t, "are you there", payload)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, []string{"one", strings.Repeat("2", 100), "in two pieces"}, p.got)
				p.end()
			})
		})
	}
}

// mask masks a frame that was masked with zeros.
func mask(frame []byte, key [4]byte) []byte {
	size := headerSize(frame[1])
	copy(frame[size-4:], key[:])
	unmask(frame[size:], key, 0)
	return frame
}

// Messages of all sizes, in fragments of all sizes, are received as they were sent, and
// take little more memory than they need.
func TestMessages(t *testing.T) {
	const limit = 200_000
	key := [4]byte{1, 20, 77, 254}
	message := make([]byte, limit)
	for i := range message {
		message[i] = byte(i * i >> 8)
	}
	for name, sizes := range map[string][]int{
		"short": {5}, "in the buffer": {200}, "medium": {5000}, "long": {100_000}, "at the limit": {limit},
		"short fragments": {1, 2, 3}, "fragments": {100, 5000, 0, 30_001}, "long fragments": {50_001, 3, 99_999}, "fragments up to the limit": {1, limit - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pool := NewPool(1, 0)
				server, client := net.Pipe()
				p := acceptLimit(t, pool, &script{}, server, client, "", limit)
				p.conn.Serve(p)
				var sent int
				for i, size := range sizes {
					first := byte(opContinuation)
					if i == 0 {
						first = opBinary
					}
					if i == len(sizes)-1 {
						first |= finalFrame
					}
					_, err := client.Write(mask(masked(first, string(message[sent:sent+size])), key))
					require.NoError(t, err)
					sent += size
				}
				_, err := client.Write(mask(masked(finalFrame|opPing, "ping"), key))
				require.NoError(t, err)
				op, payload := p.read()
				require.Equal(t, byte(opPong), op)
				require.Equal(t, "ping", payload)
				require.Len(t, p.got, 1)
				require.Equal(t, string(message[:sent]), p.got[0])
				require.LessOrEqual(t, p.size[0], max(2*sent, firstPayload))
				if len(sizes) == 1 {
					require.Equal(t, sent, p.size[0])
				}
				p.end()
				pool.Close()
			})
		})
	}
}

// A ping is answered with its own payload, of up to 125 bytes.
func TestPings(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		for _, size := range []int{0, 1, 124, maxControlPayload} {
			p.send(opPing, strings.Repeat("x", size))
			op, payload := p.read()
			require.Equal(t, byte(opPong), op)
			require.Equal(t, strings.Repeat("x", size), payload)
		}
		p.end()
	})
}

// A client that sends pings without reading the answers is sent about 1 KiB of them.
func TestPongsAreBounded(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		for range 1000 {
			p.send(opPing, strings.Repeat("x", 100))
		}
		synctest.Wait()
		var sent int
		go func() { time.Sleep(time.Second); _ = p.nc.Close() }()
		for {
			_, payload, err := p.tryRead()
			if err != nil {
				break
			}
			sent += len(payload)
		}
		require.GreaterOrEqual(t, sent, maxControl-200)
		require.LessOrEqual(t, sent, 2*maxControl, "what waits, and what was being written")
		<-p.code
	})
}

// busy is a Handler that returns a function to run for each message.
type busy struct {
	*peer
	running chan string
}

func (b busy) Receive(message []byte, _ bool) (run func()) {
	return func() { b.running <- string(message) }
}

// The functions that messages run do not keep the connection from being read.
func TestReadingGoesOnWhileMessagesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, 0)
		server, client := net.Pipe()
		p := accept(t, pool, &script{}, server, client, "")
		b := busy{p, make(chan string)}
		p.conn.Serve(b)
		p.send(opText, "one")
		_, err := client.Write(slices.Concat(masked(finalFrame|opText, "two"), masked(finalFrame|opText, "three")))
		require.NoError(t, err)
		p.end()
		got := []string{<-b.running, <-b.running, <-b.running}
		require.ElementsMatch(t, []string{"one", "two", "three"}, got)
		pool.Close()
	})
}

func TestBytesRightBehindTheHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, 0)
		server, client := net.Pipe()
		early := string(bytes.Repeat(masked(finalFrame|opText, "early"), 40)) + string(masked(finalFrame|opText, "a part")[:3])
		p := connectEarly(t, pool, &script{}, server, client, early)
		_, err := client.Write(masked(finalFrame|opText, "a part")[3:])
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, append(slices.Repeat([]string{"early"}, 40), "a part"), p.got)
		p.end()
		pool.Close()
	})
}

func TestSilentPeerIsPinged(t *testing.T) {
	inBubble(t, 30*time.Second, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		start := time.Now()
		for i := range 100 {
			op, payload := p.read()
			require.Equal(t, byte(opPing), op)
			require.Empty(t, payload)
			silent := time.Since(start)
			require.GreaterOrEqual(t, silent, 30*time.Second)
			require.Less(t, silent, 31*time.Second)
			if i%2 == 0 {
				p.send(opPong, "")
			} else {
				p.send(opText, "is as good")
			}
			start = time.Now()
		}
		p.end()
	})
}

func TestPeerThatStaysSilentIsDropped(t *testing.T) {
	inBubble(t, 30*time.Second, func(t *testing.T, _ *Pool, connect func() *peer) {
		p, start := connect(), time.Now()
		p.read()
		_, _, err := p.tryRead()
		require.Error(t, err)
		require.Equal(t, -1, <-p.code)
		require.GreaterOrEqual(t, time.Since(start), time.Minute)
		require.Less(t, time.Since(start), 61*time.Second)
	})
}

func TestPeerThatTalksIsNotPinged(t *testing.T) {
	inBubble(t, 30*time.Second, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		for range 100 {
			time.Sleep(29 * time.Second)
			p.send(opText, "hello")
		}
		go func() { _ = p.nc.Close() }()
		_, _, err := p.tryRead()
		require.Error(t, err, "nothing was sent")
		<-p.code
	})
}
