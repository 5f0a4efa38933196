package natslog

import (
	"context"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// startServer starts a server in this process that keeps its streams in dir.
func startServer(tb testing.TB, dir string) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
	})
	require.NoError(tb, err)
	s.Start()
	require.True(tb, s.ReadyForConnections(10*time.Second))
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func connect(tb testing.TB, s *server.Server, options ...nats.Option) *nats.Conn {
	tb.Helper()
	options = append(options, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	nc, err := nats.Connect(s.ClientURL(), options...)
	require.NoError(tb, err)
	tb.Cleanup(nc.Close)
	return nc
}

var streams atomic.Int64

// freshName returns the name of a stream that is not there yet.
func freshName() string { return "s" + strconv.FormatInt(streams.Add(1), 10) }

func openLog(tb testing.TB, nc *nats.Conn, o Options) *Log {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := Open(ctx, nc, &o)
	require.NoError(tb, err)
	return l
}

func TestConformance(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	eventlogtest.RunStore(t, eventlogtest.Store{
		CoarseFloor: true,
		AnyFirst:    true,
		Open: func(t *testing.T) eventlog.Log {
			return openLog(t, connect(t, s), Options{Stream: freshName()})
		},
		OpenDir: func(t *testing.T, dir string) eventlog.Log {
			name := fnv.New64a()
			_, _ = name.Write([]byte(dir)) // never fails
			return openLog(t, connect(t, s), Options{Stream: hex.EncodeToString(name.Sum(nil))})
		},
		RealTime: 9 * time.Second,
		OpenRetention: func(t *testing.T, retention time.Duration) eventlog.Log {
			return openLog(t, connect(t, s), Options{
				Stream: freshName(), Retention: retention, TailCheck: retention / 20,
			})
		},
	})
}
