package asynclog_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// recorder is a handler that keeps its records and behaves as its test requires.
type recorder struct {
	level  slog.Level
	handle func(message string)

	mu   sync.Mutex
	seen []string
}

func (r *recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= r.level }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(a slog.Attr) bool { text += fmt.Sprint(" ", a); return true })
	r.mu.Lock()
	r.seen = append(r.seen, text)
	r.mu.Unlock()
	if r.handle != nil {
		r.handle(record.Message)
	}
	return nil
}

func (r *recorder) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r *recorder) WithGroup(string) slog.Handler      { return r }

func (r *recorder) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func TestRecordsArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{level: slog.LevelInfo}
		l, q := asynclog.New(slog.New(r))
		for i := range 100 {
			l.Warn("w", "i", i)
			l.Debug("d")
		}
		q.Wait(t.Context())
		require.Len(t, r.messages(), 100)
		for i, got := range r.messages() {
			require.Equal(t, fmt.Sprintf("w i=%d", i), got)
		}
		q.Wait(t.Context())
	})
}

func TestAHandlerThatBlocksHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &recorder{handle: func(string) { <-release }}
		l, q := asynclog.New(slog.New(r))
		l.Error("first")
		synctest.Wait()
		for range 3000 {
			l.Error("more")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		q.Wait(ctx)
		close(release)
		q.Wait(t.Context())
		require.Len(t, r.messages(), 1+1024+1)
		require.Equal(t, "log records were dropped count=1976", r.messages()[1025])
	})
}

func TestAHandlerThatPanicsOrLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *slog.Logger
		r := &recorder{handle: func(message string) {
			if message != "again" {
				l.Error("again", "of", message)
				panic("cannot log")
			}
		}}
		l, q := asynclog.New(slog.New(r))
		l.Error("a")
		q.Wait(t.Context())
		l.Error("b")
		q.Wait(t.Context())
		require.Equal(t, []string{"a", "again of=a", "b", "again of=b"}, r.messages())

		guarded := asynclog.Guard(slog.New(&recorder{handle: func(string) { panic("cannot log") }}))
		require.NotPanics(t, func() { guarded.Error("c") })
	})
}

func TestNothingIsDoneForNoLog(t *testing.T) {
	t.Parallel()
	discard := slog.New(slog.DiscardHandler)
	l, q := asynclog.New(discard)
	require.Same(t, discard, l)
	require.Same(t, discard, asynclog.Guard(discard))
	q.Wait(t.Context())
}

func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{handle: func(message string) {
			if message == "ends" {
				runtime.Goexit()
			}
		}}
		l, q := asynclog.New(slog.New(r))
		for _, message := range []string{"one", "ends", "two", "ends", "ends"} {
			l.Warn(message)
		}
		q.Wait(t.Context())
		l.Warn("three")
		q.Wait(t.Context())
		require.Equal(t, []string{"one", "ends", "two", "ends", "ends", "three"}, r.messages())
	})
}
