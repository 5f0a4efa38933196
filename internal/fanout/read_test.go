package fanout

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

func TestWithoutLog(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *Options) { o.Log, o.MaxLagBytes = nil, 1000 }, func(f *fixture) {
		c := f.join("a")
		c.resume("0")
		require.True(t, c.sub.Truncated)
		f.publish("1")
		messages, more := c.pull(false)
		require.Equal(t, socket.None, more)
		require.Equal(t, []string{`{"i":1,"t":3,"p":{"e":"message","d":"1"}}`}, messages, "no event id")
		for i := range 100 {
			f.publish(pad(fmt.Sprint(i), 100))
		}
		c.read()
		require.ErrorIs(t, c.failure(), ErrTooSlow)
		c.leave()
	})
}

func TestReaderThatFallsBehind(t *testing.T) {
	t.Parallel()
	slow := func(o *Options) { o.MaxLagBytes = 10_000 }
	bubble(t, slow, func(f *fixture) {
		c, quick := f.subscribe("a"), f.subscribe("b")
		var want []string
		for i := range 1000 {
			want = append(want, pad(fmt.Sprint(i), 100))
			f.publish(want[i])
			quick.reads(want[i])
		}
		_, more := c.pull(false)
		for more == socket.Some {
			_, more = c.pull(false)
		}
		require.Equal(t, socket.WouldBlock, more, "the log is not read on the writer")
		require.True(t, c.reader.Behind())
		require.False(t, c.reader.Passed(1000))
		c.leave()

		c = f.subscribe("a")
		for i := range want {
			f.publish(want[i])
		}
		messages, _ := c.pull(true)
		require.NotEmpty(t, messages)
		f.publish("meanwhile")
		got := c.read()
		require.Equal(t, append(want, "meanwhile")[len(messages):], got)
		require.False(t, c.reader.Behind())
		f.publish("live")
		c.reads("live")
		c.leave()
		quick.leave()
	})
}

// failing is a log whose replays fail with err after their first record, unless err is nil.
type failing struct {
	eventlog.Log
	err   error
	calls int // of After
}

func (l *failing) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	l.calls++
	replay, err := l.Log.After(ctx, channel, p)
	if err != nil || l.err == nil {
		return replay, err
	}
	records := replay.Records
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		for rec, err := range records {
			if !yield(rec, err) {
				return
			}
			break
		}
		yield(nil, l.err)
	}
	return replay, nil
}

func TestReadingTheLogFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct{ err, want error }{
		"broken":  {broken, broken},
		"trimmed": {eventlog.ErrTrimmed, ErrTooSlow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &failing{}
			bubble(t, func(o *Options) { log.Log, o.Log = o.Log, log }, func(f *fixture) {
				f.publish("1")
				f.publish("2")
				log.err = test.err
				c := f.join("a")
				c.subscribe("1", "0")
				c.reads("1")
				require.ErrorIs(t, c.failure(), test.want)
				require.False(t, c.replayed.Load())
				c.leave()

				log.err = nil
				c = f.join("a")
				c.resume("0", "1", "2")
				c.leave()
			})
		})
	}
}

// A reader that is about to read the log for one subscription does not read it for the next one, whose
// events are in the tail.
func TestReadAfterAnotherSubscription(t *testing.T) {
	t.Parallel()
	log := &failing{}
	bubble(t, func(o *Options) { log.Log, o.Log, o.MaxLagBytes = o.Log, log, 1000 }, func(f *fixture) {
		c := f.subscribe("a")
		for i := range 10 {
			f.publish(pad(fmt.Sprint(i), 3000))
		}
		for more := socket.Some; more == socket.Some; {
			_, more = c.pull(false)
		}
		reads, calls := log.calls, 0
		replaced := func() bool {
			if calls++; calls == 2 { // the first call is with the lock held
				c.subscribe("1", "")
				c.reader.Release(c.sub)
				f.publish("new")
			}
			return false
		}
		var b socket.Batch
		require.Equal(t, socket.None, c.reader.Read(t.Context(), &b, true, replaced))
		require.Equal(t, []string{"new"}, texts(t, b))
		require.Equal(t, reads, log.calls)
		c.leave()
	})
}

func texts(t *testing.T, b socket.Batch) (list []string) {
	t.Helper()
	for _, m := range unframe(t, append(b.Own, b.Shared...)) {
		list = append(list, decode(t, m).P.D)
	}
	return list
}

// If the connection has a frame to send before an event is published or released, Read stops, so
// that the frame is sent first.
func TestReadStops(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		c := f.subscribe("a")
		f.publish("1")
		var b socket.Batch
		require.Equal(t, socket.Some, c.reader.Read(t.Context(), &b, false, func() bool { return true }))
		require.Empty(t, b.Own)
		require.Empty(t, b.Shared)
		c.reads("1")

		c.subscribe("1", "0")
		require.Equal(t, socket.Some, c.reader.Read(t.Context(), &b, true, func() bool { return true }))
		require.Empty(t, b.Own)
		require.Empty(t, b.Shared)
		c.reads("1")
		c.leave()
	})
}

// Read also stops for a frame that is added while it determines which events to read, in a chunk
// or in a page.
func TestReadStopsForWhatIsPublishedMeanwhile(t *testing.T) {
	t.Parallel()
	shared := func(o *Options) { o.SoleWriter = false }
	bubble(t, shared, func(f *fixture) {
		c := f.subscribe("a")
		read := func(text string) {
			var b socket.Batch
			given := false
			more := c.reader.Read(t.Context(), &b, true, func() bool {
				if given {
					return true
				}
				given = true // and then an event is published
				require.NoError(t, f.ch.Publish(t.Context(), record(text)))
				return false
			})
			require.Equal(t, socket.Some, more)
			require.Empty(t, b.Own)
			require.Empty(t, b.Shared)
		}
		f.publish("1")
		read("2")
		c.reads("1", "2")
		synctest.Wait()
		f.slip("3")
		f.publish("4")
		read("5")
		c.reads("3", "4", "5")
		synctest.Wait()
		c.leave()
	})
}
