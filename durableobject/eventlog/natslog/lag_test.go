package natslog

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Some reads are answered by a replica that has no messages yet. Followers and replays read
// the missing messages again.
func TestStaleReplica(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: "s"})
	closeLog(t, l)
	nc := connect(t, s)
	var asked atomic.Int64
	_, err := nc.Subscribe("$JS.API.DIRECT.GET.s", func(m *nats.Msg) {
		if asked.Add(1)%3 != 0 {
			_ = nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}})
		}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	f := follow(t, l, "followed")
	var want []string
	var followed, other []eventlog.Position
	for i := range 30 {
		want = append(want, strconv.Itoa(i))
		l.deaf.Store(i%4 == 0)
		followed = append(followed, publish(t, l, "followed", strconv.Itoa(i)).Position())
		other = append(other, publish(t, l, "other", strconv.Itoa(i)).Position())
	}
	l.deaf.Store(false)
	for i := range want {
		for channel, list := range map[string][]eventlog.Position{"followed": followed, "other": other} {
			texts, truncated := after(t, l, channel, list[i])
			require.False(t, truncated)
			require.Equal(t, want[i+1:], append([]string{}, texts...), "after %d of %s", i, channel)
		}
	}
	f.sees(t, want...)
	require.Positive(t, asked.Load())
}

// slowFollower blocks until it may go on.
type slowFollower struct {
	*follower
	goOn chan struct{}
}

func (f *slowFollower) Deliver(r *eventlog.Record) {
	<-f.goOn
	f.follower.Deliver(r)
}

// A node that reads nothing for a while loses republished messages, and reads them from the
// stream.
func TestSlowNode(t *testing.T) {
	t.Parallel()
	const events = 3 * liveBuffer
	s := startServer(t, t.TempDir())
	busy, slow := openLog(t, connect(t, s), Options{Stream: "s"}), openLog(t, connect(t, s), Options{Stream: "s"})
	closeLog(t, busy)
	closeLog(t, slow)
	f := &slowFollower{follower: newFollower(), goOn: make(chan struct{})}
	_, stop, err := slow.Follow(t.Context(), "room", f)
	require.NoError(t, err)
	t.Cleanup(stop)
	var writers sync.WaitGroup
	var next atomic.Int64
	for range 128 {
		writers.Go(func() {
			for next.Add(1) <= events {
				if err := busy.Append(context.Background(), "room", &eventlog.Record{Data: []byte("x")}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(f.goOn)
	f.until(t, func(got []*eventlog.Record, lost error) bool { return len(got) == events || lost != nil })
	require.NoError(t, f.lost)
	for i, r := range f.got[1:] {
		if r.Prev != f.got[i].Seq {
			require.Equal(t, f.got[i].Seq, r.Prev)
		}
	}
}

// Resumes are truncated if records that they need were dropped by an operator's limits or
// by age, and only then.
func TestRetentionMovesTheFloor(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l := openLog(t, nc, Options{Stream: "s", MaxBytes: 16 << 10})
	closeLog(t, l)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "s")
	require.NoError(t, err)
	require.Error(t, stream.Purge(t.Context()), "purges of a subject would be unseen")
	var all []eventlog.Position
	for i := range 200 {
		all = append(all, publish(t, l, strconv.Itoa(i%2), string(make([]byte, 300))).Position())
	}
	state, err := l.readState(t.Context())
	require.NoError(t, err)
	require.Positive(t, state.floor)
	for i, p := range all {
		texts, truncated := after(t, l, strconv.Itoa(i%2), p)
		require.Equal(t, p.Seq < state.floor, truncated, "record %d", i)
		if !truncated {
			require.Len(t, texts, (199-i)/2)
		}
	}
}

// An append notices at once that the stream was created again.
func TestRecreatedStream(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	o := Options{Stream: "s", TailCheck: time.Minute, Retention: -1}
	l := openLog(t, nc, o)
	closeLog(t, l)
	f := follow(t, l, "room")
	old := publish(t, l, "room", "old")
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "s"))
	closeLog(t, openLog(t, connect(t, s), o))
	r := publish(t, l, "room", "new")
	require.NotEqual(t, old.Epoch, r.Epoch)
	require.Greater(t, r.Seq, old.Seq, "Seqs go on after those of the old stream")
	require.Error(t, f.isLost(t))
	texts, truncated := after(t, l, "room", old.Position())
	require.True(t, truncated)
	require.Equal(t, []string{"new"}, texts)
}
