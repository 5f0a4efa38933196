package durableobject_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// replaying is a log whose replays are functions of the test.
type replaying struct {
	eventlog.Log
	records func(ctx context.Context, kept iter.Seq2[*eventlog.Record, error]) iter.Seq2[*eventlog.Record, error]
}

func (l replaying) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.Log.After(ctx, channel, p)
	if err == nil {
		replay.Records = l.records(ctx, replay.Records)
	}
	return replay, err
}

type records = iter.Seq2[*eventlog.Record, error]

// A replay that fails in any way closes the socket that it is for, and is logged. The process, the
// channel and its other sockets are not affected.
func TestReplaysThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		records func(records) records // from the second call for a client on: it is for the writer
		logged  string
	}{
		"panics at once": {
			func(records) records { return func(func(*eventlog.Record, error) bool) { panic("a broken log") } },
			`msg="the event log panicked" method=After channel=room .*a broken log.* stack="goroutine`,
		},
		"panics in the middle": {
			func(kept records) records {
				return func(yield func(*eventlog.Record, error) bool) {
					for rec, err := range kept {
						yield(rec, err)
						panic("a broken log")
					}
				}
			},
			"a broken log",
		},
		"has no records": {func(records) records { return nil }, "nil pointer"},
		"yields nothing": {
			func(records) records { return func(yield func(*eventlog.Record, error) bool) { yield(nil, nil) } },
			"has yielded no record",
		},
		"never ends": {
			func(kept records) records {
				return func(yield func(*eventlog.Record, error) bool) {
					for rec, err := range kept {
						for yield(rec, err) {
						}
						return
					}
				}
			},
			"has yielded record 2 after record 2",
		},
		"fails": {
			func(records) records {
				return func(yield func(*eventlog.Record, error) bool) { yield(nil, errors.New("a bad disk")) }
			},
			"a bad disk",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testReplay(t, c.records, c.logged)
		})
	}
}

func testReplay(t *testing.T, bad func(records) records, logged string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := eventlog.NewMemory(nil)
		t.Cleanup(func() { _ = memory.Close() })
		var calls atomic.Int64 // since the log was armed
		calls.Store(1 << 32)
		var book logBook
		f := newFixture(t, durableobject.Options{
			ResumeRetention: time.Minute, Logger: book.logger(),
			Log: replaying{memory, func(_ context.Context, kept records) records {
				if calls.Add(1) == 2 { // the first is for the answer to the subscription
					return bad(kept)
				}
				return kept
			}},
		}, nil)
		bystander := f.connect("b")
		bystander.subscribe()
		f.publish("zero")
		_, id := bystander.event()
		f.publish("one")
		f.publish("two")
		bystander.sees("one", "two")

		calls.Store(0)
		victim := f.connect("a")
		victim.subscribe(lastEventID(id))
		synctest.Wait()
		for range victim.frames {
		}
		require.Equal(t, websocket.StatusInternalError, (<-victim.closed).Code)
		book.matches(t, logged)

		again := f.connect("a")
		again.subscribe(lastEventID(id))
		again.sees("one", "two")
		f.publish("three")
		again.sees("three")
		bystander.sees("three")
		again.drop()
		bystander.drop()
		f.end()
	})
}

// A log that continues to yield after its reader has stopped does no harm.
func TestReplayThatIgnoresItsReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{
			ResumeRetention: time.Minute,
			Log: replaying{eventlog.NewMemory(nil), func(_ context.Context, kept records) records {
				return func(yield func(*eventlog.Record, error) bool) {
					for rec, err := range kept {
						yield(rec, err)
					}
				}
			}},
		}, nil)
		large := strings.Repeat("x", 200<<10) // more than is read at a time
		f.publish(large)
		f.publish("two")
		c := f.connect("a")
		c.subscribe(lastEventID("0"))
		c.sees(large, "two")
		c.drop()
		f.end()
	})
}

// hangingLog returns a log whose replays for the writers of sockets wait until release is closed
// or, with obeys, until their context ends. waiting is the number of replays that wait.
func hangingLog(obeys bool, release chan struct{}, waiting *atomic.Int64) eventlog.Log {
	calls := 0 // they come one after another
	return replaying{eventlog.NewMemory(nil), func(ctx context.Context, kept records) records {
		if calls++; calls%2 == 1 { // for the answer to a subscription
			return kept
		}
		return func(yield func(*eventlog.Record, error) bool) {
			waiting.Add(1)
			defer waiting.Add(-1)
			ended := ctx.Done()
			if !obeys {
				ended = nil
			}
			select {
			case <-ended:
				yield(nil, ctx.Err())
			case <-release:
				kept(yield)
			}
		}
	}}
}

// While the log does not answer, sockets that wait for it are released when they close, and those
// that do not need it are not affected.
func TestLogThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waiting atomic.Int64
		release := make(chan struct{})
		f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: hangingLog(true, release, &waiting)}, nil)
		live := f.connect("live")
		live.subscribe()
		f.publish("zero")
		_, id := live.event()
		f.publish("one")
		live.sees("one")
		var clients []*rawClient
		for _, name := range []string{"a", "b", "c"} { // they wait for the same page
			c := f.connect(name)
			c.subscribe(lastEventID(id))
			c.seesNothing()
			clients = append(clients, c)
		}
		require.EqualValues(t, 1, waiting.Load())
		f.publish("two")
		live.sees("two")
		for _, c := range clients[:2] { // the next one takes over
			c.drop()
			require.EqualValues(t, 1, waiting.Load())
		}
		close(release)
		clients[2].sees("one", "two")
		clients[2].drop()
		live.drop()
		require.Zero(t, waiting.Load())
		f.end()
	})
}

// A log that never returns blocks the goroutine that has called it, but not the connection.
// Shutdown returns when its context ends, and its error names the log.
func TestLogThatHangsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waiting atomic.Int64
		release := make(chan struct{})
		f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: hangingLog(false, release, &waiting)}, nil)
		live := f.connect("live")
		live.subscribe()
		f.publish("zero")
		_, id := live.event()
		live.drop()
		f.publish("one")
		for _, name := range []string{"a", "b"} {
			c := f.connect(name, withLife(time.Minute))
			c.subscribe(lastEventID(id))
			start := time.Now()
			require.Error(t, <-c.closed)
			require.Less(t, time.Since(start), 90*time.Second)
			for range c.frames {
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorContains(t, f.rooms.Shutdown(ctx), "still running: 1 calls and hooks: Options.Log (1)")
		close(release)
		f.end()
	})
}

// If the log panics, PublishEvent returns the panic as an error, and it is logged.
func TestPublishToPanickingLog(t *testing.T) {
	var book logBook
	var armed atomic.Bool
	bubble(t, durableobject.Options{
		ResumeRetention: time.Minute, Logger: book.logger(),
		Log: panicking{eventlog.NewMemory(nil), func(method string) {
			if method == "Append" && armed.Load() {
				panic("a broken log")
			}
		}},
	}, func(t *testing.T, f *fixture) {
		r := f.room("room")
		armed.Store(true)
		err := r.PublishEvent(t.Context(), message{"x"})
		_, ok := errors.AsType[*rpc.PanicError](err)
		require.True(t, ok, "%v", err)
		book.matches(t, `method=Append channel=room .* stack="goroutine`)
		armed.Store(false)
		f.publish("goes on")
	})
}

// newestLog is a log that yields the newest records out of order.
type newestLog struct{ eventlog.Log }

func (l newestLog) Newest(ctx context.Context, channel string, _ eventlog.Position) (eventlog.Replay, error) {
	return l.After(ctx, channel, eventlog.Position{})
}

func TestHistoryOfLogsThatMisbehave(t *testing.T) {
	t.Parallel()
	for want, bad := range map[string]func(eventlog.Log) eventlog.Log{
		"a broken log": func(l eventlog.Log) eventlog.Log {
			return replaying{l, func(context.Context, records) records {
				return func(func(*eventlog.Record, error) bool) { panic("a broken log") }
			}}
		},
		"record 2 after record 1": func(l eventlog.Log) eventlog.Log { return newestLog{l} },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, durableobject.Options{ResumeRetention: time.Minute, Log: bad(eventlog.NewMemory(nil))}, nil)
				f.publish("one")
				f.publish("two")
				_, err := f.room("room").History(t.Context(), durableobject.HistoryOptions{Before: durableobject.HistoryNewest})
				require.ErrorContains(t, err, want)
				f.end()
			})
		})
	}
}
