package natslog

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// roomForAll is the storage that a server reports. The stream of each bus reserves 64 MiB,
// and hundreds of logs are opened here. By default a server reports the free space of its
// disk.
const roomForAll = 1 << 40

// startServer starts a server in this process that keeps its streams in dir. It requires no password
// unless it has users.
func startServer(tb testing.TB, dir string, users ...*server.User) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, JetStreamMaxStore: roomForAll, Users: users,
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
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

// freePort returns a port on which a server can be started, and started again. It is not
// one of the ports of outgoing connections.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			require.NoError(tb, l.Close())
			return port
		}
	}
	require.Fail(tb, "all ports are taken")
	return 0
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

// freshName returns the name of a stream that does not exist yet.
func freshName() string { return "s" + strconv.FormatInt(streams.Add(1), 10) }

func openLog(tb testing.TB, nc *nats.Conn, o Options) *Log {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var l *Log
	patiently(tb, func() (err error) {
		l, err = Open(ctx, nc, &o)
		return err
	})
	return l
}

// patience is how long a server may take that is busy or was just started.
const patience = 30 * time.Second

// patiently repeats a call while the log is unavailable.
func patiently(tb testing.TB, call func() error) {
	tb.Helper()
	for timeout := time.Now().Add(patience); ; {
		err := call()
		if errors.Is(err, eventlog.ErrUnavailable) && time.Now().Before(timeout) {
			continue
		}
		require.NoError(tb, err)
		return
	}
}

// machine is a server that can be stopped and started again.
type machine struct {
	t    *testing.T
	dir  string
	port int
	s    *server.Server
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir(), port: freePort(t)}
	m.start()
	t.Cleanup(m.stop)
	return m
}

func (m *machine) start() {
	m.t.Helper()
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: m.dir, JetStreamMaxStore: roomForAll,
		Host: "127.0.0.1", Port: m.port, NoSigs: true, NoLog: true,
	})
	require.NoError(m.t, err)
	s.Start()
	require.True(m.t, s.ReadyForConnections(10*time.Second))
	m.s = s
}

func (m *machine) stop() {
	m.s.Shutdown()
	m.s.WaitForShutdown()
}

// follower records what it receives.
type follower struct {
	mu      sync.Mutex
	got     []*eventlog.Record
	lost    error
	changed chan struct{}
}

func newFollower() *follower { return &follower{changed: make(chan struct{}, 1)} }

func (f *follower) Deliver(r *eventlog.Record) {
	f.note(func() { f.got = append(f.got, r) })
}

func (f *follower) Lost(err error) { f.note(func() { f.lost = err }) }

func (f *follower) note(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// until waits until done returns true for what was received.
func (f *follower) until(t *testing.T, done func(got []*eventlog.Record, lost error) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		f.mu.Lock()
		ok := done(f.got, f.lost)
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-f.changed:
		case <-timeout:
			require.Fail(t, "it did not happen")
		}
	}
}

// sees waits for records with these texts, and checks that there are no others.
func (f *follower) sees(t *testing.T, texts ...string) {
	t.Helper()
	f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) >= len(texts) })
	f.mu.Lock()
	defer f.mu.Unlock()
	var data []string
	for _, r := range f.got {
		data = append(data, string(r.Data))
	}
	require.Equal(t, texts, data)
}

func (f *follower) isLost(t *testing.T) error {
	t.Helper()
	f.until(t, func(_ []*eventlog.Record, lost error) bool { return lost != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

func follow(t *testing.T, l *Log, channel string) *follower {
	t.Helper()
	f := newFollower()
	var stop func()
	patiently(t, func() (err error) {
		_, stop, err = l.Follow(t.Context(), channel, f)
		return err
	})
	t.Cleanup(stop)
	return f
}

func publish(t *testing.T, l *Log, channel, text string) *eventlog.Record {
	t.Helper()
	r := &eventlog.Record{Data: []byte(text)}
	patiently(t, func() error { return l.Append(t.Context(), channel, r, nil) })
	return r
}

// after returns the replay after p.
func after(t *testing.T, l *Log, channel string, p eventlog.Position) (texts []string, truncated bool) {
	t.Helper()
	patiently(t, func() error {
		texts = nil
		replay, err := l.After(t.Context(), channel, p)
		if err != nil {
			return err
		}
		truncated = replay.Truncated
		for r, err := range replay.Records {
			if err != nil {
				return err
			}
			texts = append(texts, string(r.Data))
		}
		return nil
	})
	return texts, truncated
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, l.Close()) })
}
