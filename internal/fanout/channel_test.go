package fanout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// A client is sent the events whose audiences include it, live and in a replay.
func TestAudiences(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		rnd := rand.New(rand.NewPCG(1, 2))
		var clients []*client
		for _, id := range []string{"a", "b", "c"} {
			for _, list := range [][]string{nil, {"x"}, {"x", "y"}} {
				clients = append(clients, f.subscribe(id, list...))
			}
		}
		want := make([][]string, len(clients))
		some := func(all ...string) []string { return all[:rnd.IntN(len(all)+1)] }
		for i := range 500 {
			text := fmt.Sprint(i)
			var audience []func(*eventlog.Audience)
			if rnd.IntN(2) == 0 {
				audience = append(audience, tags(some("y", "x")...))
			}
			if rnd.IntN(3) == 0 {
				audience = append(audience, targets(some("a", "b")...))
			}
			if rnd.IntN(3) == 0 {
				audience = append(audience, excludes(some("b", "a")...))
			}
			rec := record(text, audience...)
			f.publish(text, audience...)
			for i, c := range clients {
				if rec.Includes(c.reader.tags, c.reader.recipient) {
					want[i] = append(want[i], text)
				}
			}
		}
		for i, c := range clients {
			c.reads(want[i]...)
			c.resume("0", want[i]...)
			c.leave()
		}
	})
}

// If a writer has not yet notified the last reader, which has left, the next reader is notified of
// later records nevertheless.
func TestReaderAfterOneThatLeftUnnotified(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		a := f.subscribe("a")
		resume := f.busy()
		f.publish("for a")
		a.leave()
		b := f.subscribe("b")
		f.publish("1")
		f.publish("2")
		resume()
		b.reads("1", "2")
		f.publish("3")
		b.reads("3")
		b.leave()
	})
}

// A record for a tag takes the same time for any number of other readers, because these are not
// notified.
func TestOnlyTheAudienceIsWoken(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		tagged, other := f.subscribe("a", "x"), f.subscribe("b", "y")
		woken := other.woken.Load()
		f.publish("1", tags("x"))
		f.publish("2", targets("a"))
		require.Equal(t, woken, other.woken.Load())
		f.publish("3")
		require.Greater(t, other.woken.Load(), woken)
		tagged.reads("1", "2", "3")
		other.reads("3")
		tagged.leave()
		other.leave()
	})
}

// A channel that receives a record without the one before it reads from the log. The missing
// records may be for any reader.
func TestRecordsThatTheChannelWasNotGiven(t *testing.T) {
	t.Parallel()
	shared := func(o *Options) { o.SoleWriter = false }
	bubble(t, shared, func(f *fixture) {
		c, tagged := f.subscribe("a"), f.subscribe("b", "x")
		f.publish("1")
		f.slip("2", tags("x"))
		f.slip("3", tags("y"))
		f.slip("4")
		c.reads("1")
		f.publish("5", tags("x"))
		require.True(t, c.reader.Behind())
		c.reads("4")
		tagged.reads("1", "2", "4", "5")
		f.publish("6")
		require.False(t, c.reader.Behind())
		c.reads("6")
		tagged.reads("6")

		f.publish("7") // read together with what follows, but not in one chunk
		f.slip("8")
		f.publish("9")
		f.publish("10")
		c.reads("7", "8", "9", "10")
		c.leave()
		tagged.leave()
	})
}

// A client may have received events from another process that the channel has not received yet. It
// is not sent them again.
func TestResumeAheadOfTheTail(t *testing.T) {
	t.Parallel()
	shared := func(o *Options) { o.SoleWriter = false }
	bubble(t, shared, func(f *fixture) {
		f.slip("1")
		f.slip("2")
		head, err := f.log.Head(t.Context(), "channel")
		require.NoError(t, err)
		c := f.join("a")
		c.resume(head.String())
		require.False(t, c.sub.Truncated)
		f.publish("3")
		c.reads("3")
		c.leave()
	})
}

// A reader that has read everything misses nothing when the log drops records that were not for
// it.
func TestTheLogDropsWhatWasNotForTheReader(t *testing.T) {
	t.Parallel()
	shared := func(o *Options) { o.SoleWriter = false }
	bubble(t, shared, func(f *fixture) {
		c := f.subscribe("a")
		for range 10 {
			f.publish("for another", targets("b"))
			time.Sleep(time.Minute)
		}
		require.NoError(t, f.log.Trim(t.Context(), time.Now()))
		f.slip("1")
		f.publish("2")
		c.reads("1", "2")
		require.NoError(t, c.failure())
		c.leave()
	})
}

// Records that are older than the retention are not replayed, even if the log still has them.
func TestRetentionIsShorterThanThatOfTheLog(t *testing.T) {
	t.Parallel()
	short := func(o *Options) { o.Retention, o.MaxLagBytes = time.Minute, 1000 }
	bubble(t, short, func(f *fixture) {
		slow := f.subscribe("slow")
		first := f.publish("1")
		for range 10 {
			f.publish(pad("2", 1000))
		}
		time.Sleep(2 * time.Minute)
		slow.read()
		require.ErrorIs(t, slow.failure(), ErrTooSlow)
		f.publish("3")
		c := f.join("a")
		c.resume(first, "3")
		require.True(t, c.sub.Truncated)
		c.leave()
		slow.leave()
	})
}

// A record that the log delivers, but had before the channel was opened, is not new.
func TestRecordFromBeforeOpen(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		c := f.subscribe("a")
		rec := record("1")
		require.NoError(t, f.ch.Publish(t.Context(), rec))
		f.ch.receive(rec)
		synctest.Wait()
		c.reads("1")
		c.leave()
		require.Nil(t, f.ch.tail.chunk, "nobody reads it")
	})
}

// While readers join and leave and the writers scan, each reader is notified of everything that is
// published after it has subscribed.
func TestReadersComeAndGoWhileTheyAreNotified(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		const events = 300
		rnd := rand.New(rand.NewPCG(3, 4))
		var clients []*client
		joined := map[*client]int{}
		join := func(i int) {
			c := &client{t: t, ch: f.ch, writer: rnd.IntN(f.pool.Size())}
			f.ch.Join(&c.reader, c, nil, eventlog.Recipient{ID: "a"})
			c.subscribe("1", "")
			c.reader.Release(c.sub)
			clients = append(clients, c)
			joined[c] = i
		}
		for range 5 * scanSize {
			join(0)
		}
		for i := range events {
			require.NoError(t, f.ch.Publish(t.Context(), record(fmt.Sprint(i))))
			for range rnd.IntN(4) {
				gone := rnd.IntN(len(clients))
				clients[gone].leave()
				clients = slices.Delete(clients, gone, gone+1)
				join(i + 1)
			}
		}
		synctest.Wait()
		for _, c := range clients {
			want := []string{}
			for i := joined[c]; i < events; i++ {
				want = append(want, fmt.Sprint(i))
			}
			c.reads(want...)
			c.leave()
		}
		require.Zero(t, f.entries())
	})
}

// blocking is a client whose flush blocks its writer.
type blocking struct {
	*client
	reached, release chan struct{}
}

func (b blocking) Flush(func(*socket.Conn)) {
	close(b.reached)
	<-b.release
}

// A scan does not skip a reader that takes the place of one that has left, or that is notified on
// its own meanwhile.
func TestReadersMoveDuringAScan(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		b := blocking{&client{t: t, ch: f.ch}, make(chan struct{}), make(chan struct{})}
		f.ch.Join(&b.reader, b, nil, eventlog.Recipient{})
		b.subscribe("1", "")
		b.reader.Release(b.sub)
		var clients []*client
		for i := range 3 * scanSize {
			clients = append(clients, f.subscribe(fmt.Sprint(i)))
		}
		moved, notified := clients[len(clients)-1], clients[len(clients)-2]

		require.NoError(t, f.ch.Publish(t.Context(), record("1")))
		<-b.reached // the first of three steps has been made
		clients[0].leave()
		require.Equal(t, following, moved.reader.state, "it moved to where the scan has been")
		target := eventlog.Audience{Targets: []eventlog.Recipient{notified.reader.recipient}}
		require.NoError(t, f.ch.Publish(t.Context(), &eventlog.Record{Data: []byte(`"2"`), Audience: target}))
		require.NoError(t, f.ch.Publish(t.Context(), record("3")))
		notified.reads("1", "2", "3")
		for len(clients) > scanSize/2 { // the scan is beyond what is left
			clients[1].leave()
			clients = slices.Delete(clients, 1, 2)
		}
		close(b.release)
		synctest.Wait()
		for _, c := range clients[1:] {
			if c == notified {
				c.reads()
			} else {
				c.reads("1", "3")
			}
			c.leave()
		}
		b.leave()
	})
}

func TestSinks(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		x, xy, none := f.join("a", "x"), f.join("b", "x", "y"), f.join("c")
		require.ElementsMatch(t, []Sink{x, xy, none}, f.ch.Sinks(nil))
		require.Empty(t, f.ch.Sinks([]string{}))
		require.ElementsMatch(t, []Sink{x, xy}, f.ch.Sinks([]string{"x"}))
		require.ElementsMatch(t, []Sink{x, xy}, f.ch.Sinks([]string{"y", "x"}), "each once")
		require.Empty(t, f.ch.Sinks([]string{"z"}))
		for _, c := range []*client{xy, x, none} {
			c.leave()
		}
		require.Zero(t, f.entries())
	})
}

// counting is a log that counts the records that are read.
type counting struct {
	eventlog.Log
	records atomic.Int64
}

func (l *counting) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.Log.After(ctx, channel, p)
	records := replay.Records
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		for rec, err := range records {
			l.records.Add(1)
			if !yield(rec, err) {
				return
			}
		}
	}
	return replay, err
}

// The log is read and encoded once for all clients that resume at the same time.
func TestReplaysShareTheirPages(t *testing.T) {
	t.Parallel()
	log := &counting{}
	bubble(t, func(o *Options) { log.Log, o.Log = o.Log, log }, func(f *fixture) {
		const events, clients = 400, 50 // which fill two pages
		var want []string
		for i := range events {
			want = append(want, pad(fmt.Sprint(i), 500))
			f.publish(want[i])
		}
		var list []*client
		for range clients {
			c := f.join("a")
			c.subscribe("1", "0")
			list = append(list, c)
			c.pull(true)
		}
		require.Less(t, log.records.Load(), int64(events+clients))
		for _, c := range list {
			c.read()
			require.Equal(t, events, c.sub.Replayed)
			c.leave()
		}
	})
}
