package natslog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// handlerFunc is a slog.Handler.
type handlerFunc func(message string)

func (f handlerFunc) Enabled(context.Context, slog.Level) bool { return true }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f handlerFunc) WithGroup(string) slog.Handler            { return f }
func (f handlerFunc) Handle(_ context.Context, r slog.Record) error {
	f(r.Message)
	return nil
}

// logged counts messages.
type logged struct {
	mu    sync.Mutex
	count map[string]int
}

func (l *logged) logger() *slog.Logger {
	l.count = map[string]int{}
	return slog.New(handlerFunc(func(message string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count[message]++
	}))
}

func (l *logged) times(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[message]
}

// panicking is a follower that panics each time.
type panicking struct{ delivered, lost atomic.Int32 }

func (p *panicking) Deliver(*eventlog.Record) {
	p.delivered.Add(1)
	panic("a follower of the test panics")
}

func (p *panicking) Lost(error) {
	p.lost.Add(1)
	panic("a follower of the test panics")
}

// Followers that panic do not affect others, and are called again.
func TestFollowersThatPanic(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	var log logged
	l := openLog(t, connect(t, s), Options{Stream: "s", Logger: log.logger()})
	closeLog(t, l)
	var p panicking
	_, stop, err := l.Follow(t.Context(), "room", &p)
	require.NoError(t, err)
	for range 3 {
		err := l.Append(t.Context(), "room", &eventlog.Record{Data: []byte("x")}, func(*eventlog.Record) {
			panic("a deliver of the test panics")
		})
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, p.delivered.Load())
	l.feedOf("room").lose(eventlog.ErrUnavailable)
	require.EqualValues(t, 1, p.lost.Load())
	stop()
	require.Eventually(t, func() bool { return log.times("event log: a follower or a deliver panicked") == 7 },
		patience, time.Millisecond)
}

// A logger may use the log that it logs for, panic, or block, while the log continues to
// work.
func TestLoggersThatMisbehave(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	release := make(chan struct{})
	defer close(release)
	for name, handle := range map[string]func(l *Log){
		"appends": func(l *Log) {
			_ = l.Append(context.Background(), "room", &eventlog.Record{Data: []byte("logged")}, func(*eventlog.Record) {})
		},
		"panics": func(*Log) { panic("cannot log") },
		"hangs":  func(*Log) { <-release },
	} {
		t.Run(name, func(t *testing.T) {
			nc := connect(t, s)
			var opened atomic.Pointer[Log]
			seen := make(chan struct{}, 10)
			l := openLog(t, nc, Options{Stream: name, Logger: slog.New(handlerFunc(func(string) {
				seen <- struct{}{}
				handle(opened.Load())
			}))})
			opened.Store(l)
			closeLog(t, l)
			f := follow(t, l, "room")
			_, err := nc.RequestMsg(&nats.Msg{Subject: l.stored(token("room")), Data: []byte{255}}, patience) // not a record
			require.NoError(t, err)
			<-seen
			publish(t, l, "room", "1")
			f.until(t, func(got []*eventlog.Record, _ error) bool {
				return len(got) > 0 && string(got[len(got)-1].Data) == "1"
			})
		})
	}
}
