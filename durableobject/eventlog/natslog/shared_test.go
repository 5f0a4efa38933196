package natslog

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// wire is a dialer that can cut its connections.
type wire struct {
	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

// Dial implements [nats.CustomDialer].
func (w *wire) Dial(network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.off {
		return nil, net.ErrClosed
	}
	c, err := net.Dial(network, address)
	if err == nil {
		w.conns = append(w.conns, c)
	}
	return c, err
}

func (w *wire) cut(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = off
	for _, c := range w.conns {
		_ = c.Close() // it may be closed
	}
	w.conns = nil
}

// TestShared opens several handles on one stream, each with its own connection.
func TestShared(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	eventlogtest.RunShared(t, eventlogtest.SharedStore{Open: func(t *testing.T) eventlogtest.SharedLog {
		o := Options{Stream: freshName(), TailCheck: DefaultTailCheck / 4, tooLong: time.Second}
		var handles []*Log
		wires := map[eventlog.Shared]*wire{}
		return eventlogtest.SharedLog{
			Handle: func(t *testing.T) eventlog.Shared {
				w := &wire{}
				l := openLog(t, connect(t, s, nats.SetCustomDialer(w)), o)
				handles = append(handles, l)
				wires[l] = w
				return l
			},
			Cut: func(h eventlog.Shared, cut bool) {
				wires[h].cut(cut)
				for l := h.(*Log); (l.ready(context.Background()) != nil) != cut; {
					runtime.Gosched()
				}
			},
			Drop: func(h eventlog.Shared, drop bool) { h.(*Log).deaf.Store(drop) },
			Replace: func() {
				js, err := jetstream.New(connect(t, s))
				require.NoError(t, err)
				require.NoError(t, js.DeleteStream(t.Context(), o.Stream))
				require.NoError(t, openLog(t, connect(t, s), o).Close())
				for _, l := range handles {
					_ = l.check(context.Background()) // it notices
				}
			},
		}
	}})
}
