//go:build !js

package dial_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
)

const (
	opText  = 1
	opClose = 8
	opPing  = 9
)

// open connects to a server. The test has the server's end of the stream, whose Reads each
// return the bytes of one write of the connection.
func open(t *testing.T, o dial.Options) (*dial.Conn, net.Conn) {
	t.Helper()
	streams := make(chan net.Conn, 1)
	server := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = websocket.Accept(hijacked{w, streams}, r, nil) // fails, since the test has the stream
	}))
	o.HTTPClient = server.Client()
	if o.WriteTimeout == 0 {
		o.WriteTimeout = time.Minute
	}
	c, _, err := dial.Open(t.Context(), server.URL(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Drop()
		server.Close()
	})
	return c, <-streams
}

// hijacked is a http.ResponseWriter that passes the stream to the test instead of the
// WebSocket server.
type hijacked struct {
	http.ResponseWriter
	streams chan<- net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	stream, _, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.streams <- stream
		err = net.ErrClosed
	}
	return nil, nil, err
}

// reading returns a channel of the opcodes of the frames of each write. The frames must be
// short.
func reading(stream net.Conn) <-chan []byte {
	writes := make(chan []byte, 100)
	go func() {
		defer close(writes)
		buffer := make([]byte, 1<<20)
		for {
			n, err := stream.Read(buffer)
			if err != nil {
				return
			}
			var ops []byte
			for frame := buffer[:n]; len(frame) > 0; frame = frame[2+4+frame[1]&0x7F:] { // header, mask, payload
				ops = append(ops, frame[0]&0xF)
			}
			writes <- ops
		}
	}()
	return writes
}

func TestMessagesWaitForFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		writes := reading(stream)
		for range 3 {
			require.NoError(t, c.Write([]byte("hello"), false))
		}
		synctest.Wait()
		require.Empty(t, writes)
		c.Flush()
		require.Equal(t, []byte{opText, opText, opText}, <-writes)
		c.Flush()
		synctest.Wait()
		require.Empty(t, writes, "there is nothing left")
	})
}

func TestControlFramesStayInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		writes := reading(stream)
		ping := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = c.Ping(ctx) // there is no answer
		}
		ping()
		require.Equal(t, []byte{opPing}, <-writes, "without messages it need not wait")
		require.NoError(t, c.Write([]byte("hello"), false))
		ping()
		c.Flush()
		require.Equal(t, []byte{opText, opPing}, <-writes)
	})
}

func TestLongMessagesDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		received := make(chan int, 100)
		go func() {
			for buffer := make([]byte, 1<<20); ; {
				n, err := stream.Read(buffer)
				if err != nil {
					return
				}
				received <- n
			}
		}()
		require.NoError(t, c.Write(make([]byte, 1<<20), true))
		synctest.Wait()
		require.NotEmpty(t, received)
		total := 0
		c.Flush()
		synctest.Wait()
		for len(received) > 0 {
			n := <-received
			require.LessOrEqual(t, n, 32<<10, "it is not held back as a whole")
			total += n
		}
		require.Equal(t, 2+8+4+1<<20, total)
	})
}

func TestServerThatTakesNothing(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"a short message": 10, "a long message": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := open(t, dial.Options{WriteTimeout: 10 * time.Second})
				begin := time.Now()
				go func() {
					_ = c.Write(make([]byte, size), true) // returns an error for a long one
					c.Flush()
				}()
				_, _, err := c.Read()
				require.ErrorIs(t, err, dial.ErrNotTaken)
				require.Equal(t, 10*time.Second, time.Since(begin))
				require.ErrorIs(t, c.Write([]byte("hello"), false), dial.ErrNotTaken)
			})
		})
	}
}

func TestNothingIsReadAfterFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		go func() { _, _ = stream.Write([]byte("\x81\x02hi\x81\x02ho")) }() // two messages at a time
		message, binary, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, "hi", string(message))
		require.False(t, binary)
		cause := errors.New("enough")
		c.Fail(cause)
		c.Fail(errors.New("the first cause counts"))
		_, _, err = c.Read()
		require.Equal(t, cause, err)
	})
}

func TestCloseDoesNotWaitForFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		writes := reading(stream)
		require.NoError(t, c.Write([]byte("hello"), false))
		go c.Close()
		require.Equal(t, []byte{opText}, <-writes)
		require.Equal(t, []byte{opClose}, <-writes)
	})
}

func TestCloseDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]bool{"idle": false, "with a message that is not sent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stream := open(t, dial.Options{})
				begin := time.Now()
				if write {
					go func() {
						_ = c.Write(make([]byte, 100), true)
						c.Flush() // until it is closed: the server does not read
					}()
					synctest.Wait()
				} else {
					writes := reading(stream)
					defer func() { require.Equal(t, []byte{opClose}, <-writes) }()
				}
				c.Close()
				require.LessOrEqual(t, time.Since(begin), time.Second)
			})
		})
	}
}

// A message that is skipped is written while it arrives.
func TestLargeMessagesAreSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stream := open(t, dial.Options{})
		var skipped largest
		skips := 0
		c.SkipLarge(10, &skipped, func() { skips++ })
		go func() {
			_, _ = stream.Write([]byte("\x81\x0A0123456789\x82\x0B0123456789-"))
			_, _ = stream.Write([]byte{0x01, 127, 0, 0, 0, 0, 0x40, 0, 0, 0}) // of 1 GiB, incomplete
			for range 1 << 10 {
				_, _ = stream.Write(make([]byte, 1<<20))
			}
			_, _ = stream.Write([]byte("\x80\x01-\x81\x02hi"))
		}()
		message, binary, err := c.Read()
		require.NoError(t, err)
		require.False(t, binary)
		require.Equal(t, "0123456789", string(message), "as large as may be")
		message, _, err = c.Read()
		require.NoError(t, err)
		require.Equal(t, "hi", string(message))
		require.Equal(t, 2, skips)
		require.Equal(t, int64(11+1<<30+1), skipped.total)
		require.LessOrEqual(t, skipped.most, 64<<10)
		require.Greater(t, c.Received(), int64(1<<30))
	})
}

// largest counts the bytes written to it.
type largest struct {
	total int64
	most  int
}

func (l *largest) Write(p []byte) (int, error) {
	l.total += int64(len(p))
	l.most = max(l.most, len(p))
	return len(p), nil
}

func TestLostConnectionsAreDescribedInWords(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want string
	}{
		"nothing":        {nil, "connection lost: the server closed it without a close frame"},
		"half a frame":   {[]byte{0x81}, "connection lost: the server closed it without a close frame"},
		"half a message": {[]byte{0x81, 5, 'a'}, "connection lost: the server closed it without a close frame"},
		"a close frame":  {[]byte{0x88, 5, 0x03, 0xe9, 'b', 'y', 'e'}, `connection lost: closed by the server: status = StatusGoingAway and reason = "bye"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, stream := open(t, dial.Options{})
				go func() {
					_, _ = stream.Write(c.sent)
					_ = stream.Close()
				}()
				_, _, err := conn.Read()
				require.EqualError(t, err, c.want)
				if name == "a close frame" {
					require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err))
				} else {
					require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
				}
			})
		})
	}
}
