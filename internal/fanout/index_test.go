package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// requirePlaces requires that each list has exactly the readers of the clients, and that each
// reader knows its place in them, so that none is searched for when it leaves.
func (f *fixture) requirePlaces(clients []*client) {
	f.t.Helper()
	x, entries := &f.ch.readers, 0
	for _, c := range clients {
		r := &c.reader
		require.Same(f.t, r, x.groups[r.writer].readers[r.atGroup])
		require.Same(f.t, r, x.byRecipient[r.recipient][r.atRecipient].Reader)
		for i, tag := range r.tags {
			require.Same(f.t, r, x.byTag[tag][r.atTags[i]].Reader)
		}
		entries += 2 + len(r.tags)
	}
	require.Equal(f.t, len(clients), x.count)
	for _, g := range x.groups {
		entries -= len(g.readers)
	}
	for _, list := range x.byRecipient {
		entries -= len(list)
	}
	for _, list := range x.byTag {
		entries -= len(list)
	}
	require.Zero(f.t, entries, "no list has others")
}

// Readers that join and leave in any order are found by their tags and recipients.
func TestReadersKnowTheirPlaces(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		rnd := rand.New(rand.NewPCG(7, 8))
		var clients []*client
		for step := range 2000 {
			if n := len(clients); n > 0 && rnd.IntN(100) < 48 {
				i := rnd.IntN(n)
				clients[i].leave()
				clients = slices.Delete(clients, i, i+1)
			} else {
				c := &client{t: t, ch: f.ch, writer: rnd.IntN(2)}
				all := []string{"x", "y", "z", "x"}
				f.ch.Join(&c.reader, c, all[rnd.IntN(4):], eventlog.Recipient{ID: fmt.Sprint(rnd.IntN(9))})
				clients = append(clients, c)
			}
			if step%50 == 0 {
				f.requirePlaces(clients)
			}
		}
		for _, c := range clients {
			c.leave()
		}
		require.Zero(t, f.entries())
	})
}

// A reader whose token repeats a tag is one reader.
func TestRepeatedTags(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		c, other := f.subscribe("a", "x", "y", "x"), f.subscribe("b", "x")
		require.ElementsMatch(t, []Sink{c, other}, f.ch.Sinks([]string{"x"}))
		f.requirePlaces([]*client{c, other})
		f.publish("1", tags("x"))
		c.reads("1")
		c.leave()
		f.publish("2", tags("x", "y"))
		other.reads("1", "2")
		other.leave()
		require.Zero(t, f.entries())
	})
}

// incomparable is a sink that panics if it is compared with another one.
type incomparable struct {
	*client

	_ []func()
}

// To find each sink once, they are not compared with each other: with many readers that would take
// too long.
func TestSinksAreNotCompared(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		var sinks []incomparable
		for i := range 10 {
			s := incomparable{client: &client{t: t, ch: f.ch}}
			f.ch.Join(&s.reader, s, []string{"x", "y"}, eventlog.Recipient{ID: fmt.Sprint(i)})
			sinks = append(sinks, s)
		}
		require.Len(t, f.ch.Sinks([]string{"x", "y"}), len(sinks))
		for _, s := range sinks {
			s.leave()
		}
	})
}

// crowd is a channel with n readers, all of which have the same two tags and recipient.
func crowd(b *testing.B, n int) (ch *Channel, readers []Reader) {
	b.Helper()
	pool := socket.NewPool(2, 0)
	b.Cleanup(pool.Close)
	ch = New(&Options{MaxLagBytes: 1 << 20, Pool: pool}, "channel")
	require.NoError(b, ch.Open(b.Context()))
	readers = make([]Reader, n)
	joinAll(ch, readers)
	return ch, readers
}

func joinAll(ch *Channel, readers []Reader) {
	for i := range readers {
		ch.Join(&readers[i], &client{ch: ch, writer: i % 2}, []string{"x", "y"}, eventlog.Recipient{ID: "a"})
	}
}

// The time for each reader must not increase with their number.
func BenchmarkLeave(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			ch, readers := crowd(b, n)
			b.ResetTimer()
			for range b.N {
				for i := range readers {
					ch.Leave(&readers[i])
				}
				b.StopTimer()
				clear(readers)
				joinAll(ch, readers)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/reader")
		})
	}
}

// The time for each reader must not increase with their number.
func BenchmarkSinks(b *testing.B) {
	for _, tags := range [][]string{nil, {"x"}, {"x", "y"}} {
		for _, n := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("tags=%s/readers=%d", strings.Join(tags, ","), n), func(b *testing.B) {
				ch, _ := crowd(b, n)
				for b.Loop() {
					require.Len(b, ch.Sinks(tags), n)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/reader")
			})
		}
	}
}
