//go:build !js

package dial_test

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

var errWrite = errors.New("broken pipe")

// deaf is a stream that accepts no writes, and from which the messages that the server has
// sent can be read.
type deaf struct {
	arriving <-chan string
	closed   chan struct{}
	once     sync.Once
}

func (d *deaf) Read(p []byte) (int, error) {
	select {
	case text := <-d.arriving:
		return copy(p, text), nil
	case <-d.closed:
		return 0, io.ErrClosedPipe
	}
}

func (d *deaf) Write([]byte) (int, error) { return 0, errWrite }

func (d *deaf) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// RoundTrip answers the handshake.
func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return &http.Response{
		StatusCode: http.StatusSwitchingProtocols, Request: r, Body: d,
		Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])},
		},
	}, nil
}

// A close frame that the server has sent has a better reason than a message that cannot be
// sent. Without one the connection ends after a second.
func TestCloseFrameIsReadAfterAFailedFlush(t *testing.T) {
	t.Parallel()
	connect := func(t *testing.T, arriving <-chan string) *dial.Conn {
		t.Helper()
		d := &deaf{arriving: arriving, closed: make(chan struct{})}
		c, _, err := dial.Open(t.Context(), "ws://deaf", dial.Options{
			HTTPClient: &http.Client{Transport: d}, WriteTimeout: time.Minute,
		})
		require.NoError(t, err)
		t.Cleanup(c.Drop)
		return c
	}
	send := func(t *testing.T, c *dial.Conn) {
		t.Helper()
		require.NoError(t, c.Write([]byte("hello"), false))
		c.Flush()
	}
	t.Run("close frame", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			arriving := make(chan string, 1)
			c := connect(t, arriving)
			send(t, c)
			time.AfterFunc(900*time.Millisecond, func() { arriving <- "\x88\x02\x11\x33" }) // 4403
			_, _, err := c.Read()
			require.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err), "%v", err)
		})
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, begin := connect(t, nil), time.Now()
			send(t, c)
			time.AfterFunc(500*time.Millisecond, c.Flush) // fails too, without effect
			_, _, err := c.Read()
			require.ErrorIs(t, err, errWrite)
			require.Equal(t, time.Second, time.Since(begin))
		})
	})
}
