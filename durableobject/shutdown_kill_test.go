package durableobject_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// closeHook is a connection that calls closing before it is closed for the first time.
type closeHook struct {
	net.Conn

	closing func()
}

func (c *closeHook) Close() error {
	c.closing()
	return c.Conn.Close()
}

type hookedResponse struct {
	http.ResponseWriter

	closing func()
}

func (w hookedResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return &closeHook{conn, w.closing}, buffer, err
}

// Closing a connection can take time, as with TLS. Others must not wait for it.
func TestConnectionsAreCutOffWithoutALock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{}, nil)
		var calls []bool
		closing := sync.OnceFunc(func() { calls = append(calls, durableobject.Locked(f.rooms)) })
		f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.upgrade().ServeHTTP(hookedResponse{w, closing}, r)
		}))
		_, read := f.stalled("a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorContains(t, f.rooms.Shutdown(ctx), "1 sockets cut off")
		require.Equal(t, []bool{false}, calls)
		read()
		f.end()
	})
}
