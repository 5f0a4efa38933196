package natslog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// When the server restarts, appended records are stored once, and followers miss nothing.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	a, b := openLog(t, connect(t, m.s), Options{Stream: "s"}), openLog(t, connect(t, m.s), Options{Stream: "s"})
	closeLog(t, a)
	closeLog(t, b)
	f := follow(t, b, "room")
	first := publish(t, a, "room", "0")
	var want []string
	var writers sync.WaitGroup
	for i := range 40 {
		want = append(want, strconv.Itoa(i))
	}
	restarted := make(chan struct{})
	writers.Go(func() {
		for i := 1; i < 40; i++ {
			if i == 20 {
				<-restarted
			}
			if err := a.Append(context.Background(), "room", &eventlog.Record{Data: []byte(strconv.Itoa(i))}, nil); err != nil {
				t.Errorf("append %d: %v", i, err)
			}
		}
	})
	m.stop()
	m.start()
	close(restarted)
	writers.Wait()
	f.sees(t, want...)
	texts, truncated := after(t, b, "room", first.Position())
	require.False(t, truncated)
	require.Equal(t, want[1:], texts)
}

// The server has lost the last acknowledged records, as after a loss of power, and uses the
// same Seqs again.
func TestStreamGoesBack(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	o := Options{Stream: "s", TailCheck: 200 * time.Millisecond}
	a, b := openLog(t, connect(t, m.s), o), openLog(t, connect(t, m.s), o)
	closeLog(t, a)
	closeLog(t, b)
	kept := publish(t, a, "room", "kept")
	m.stop()
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(m.dir)))
	m.start()
	f := follow(t, b, "room")
	var lost *eventlog.Record
	for i := range 10 {
		lost = publish(t, a, "room", strconv.Itoa(i))
	}
	f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) == 10 })
	m.stop()
	require.NoError(t, os.RemoveAll(m.dir))
	require.NoError(t, os.CopyFS(m.dir, os.DirFS(backup)))
	m.start()

	require.Error(t, f.isLost(t))
	for range 20 { // beyond the lost Seqs
		publish(t, a, "room", "new")
	}
	c := openLog(t, connect(t, m.s), o)
	closeLog(t, c)
	for name, l := range map[string]*Log{"a": a, "b": b, "newcomer": c} {
		for _, p := range []eventlog.Position{kept.Position(), lost.Position()} {
			texts, truncated := after(t, l, "room", p)
			require.True(t, truncated, "%s, %v", name, p)
			require.Len(t, texts, 21)
		}
	}
	r := publish(t, b, "room", "of the new epoch")
	require.NotEqual(t, kept.Epoch, r.Epoch)
	texts, truncated := after(t, c, "room", r.Position())
	require.False(t, truncated)
	require.Empty(t, texts)
}

// The lost records were not seen by a check, and at the next check the stream has more
// records than before.
func TestStreamGoesBackUnseen(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	o := Options{Stream: "s", TailCheck: time.Hour, Retention: -1}
	a := openLog(t, connect(t, m.s), o)
	closeLog(t, a)
	publish(t, a, "room", "kept")
	m.stop()
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(m.dir)))
	m.start()
	f := follow(t, a, "room")
	writer := openLog(t, connect(t, m.s), o)
	for i := range 5 {
		publish(t, writer, "room", strconv.Itoa(i))
	}
	f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) == 5 })
	lost := f.got[4].Position()
	require.NoError(t, writer.Close())
	m.stop()
	require.NoError(t, os.RemoveAll(m.dir))
	require.NoError(t, os.CopyFS(m.dir, os.DirFS(backup)))
	m.start()
	writer = openLog(t, connect(t, m.s), o) // it does not know the lost records
	closeLog(t, writer)
	for range 10 {
		publish(t, writer, "room", "new")
	}
	require.Error(t, f.isLost(t))
	texts, truncated := after(t, a, "room", lost)
	require.True(t, truncated)
	require.Len(t, texts, 11)
}

// Messages that are not records are counted and skipped, and the chain continues.
func TestBrokenMessages(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: "s"})
	closeLog(t, l)
	nc := connect(t, s)
	f := follow(t, l, "room")
	publish(t, l, "room", "1")
	subject := l.stored(token("room"))
	for name, m := range map[string]*nats.Msg{
		"empty":         {Data: nil, Header: nats.Header{nats.MsgIdHdr: {"a"}}},
		"flags":         {Data: []byte{255}, Header: nats.Header{nats.MsgIdHdr: {"b"}}},
		"a cut list":    {Data: []byte{hasTags, 200}, Header: nats.Header{nats.MsgIdHdr: {"c"}}},
		"without an id": {Data: []byte{hasData, 'x'}},
	} {
		m.Subject = subject
		_, err := nc.RequestMsg(m, 5*time.Second)
		require.NoError(t, err, name)
	}
	last := publish(t, l, "room", "2")
	f.sees(t, "1", "2")
	f.mu.Lock()
	first, second := f.got[0], f.got[1]
	f.mu.Unlock()
	require.Equal(t, first.Seq, second.Prev)
	require.Equal(t, last.Seq, second.Seq)
	require.Equal(t, int64(4), l.Stats().Broken)
	texts, truncated := after(t, l, "room", eventlog.Position{Epoch: first.Epoch, Seq: first.Seq - 1})
	require.False(t, truncated)
	require.Equal(t, []string{"1", "2"}, texts)
}

// forge publishes a message that looks like one republished by the server.
func forge(t *testing.T, nc *nats.Conn, l *Log, channel string, seq, prev uint64) {
	t.Helper()
	require.NoError(t, nc.PublishMsg(&nats.Msg{Subject: l.republished(token(channel)), Data: []byte{hasData, 'x'}, Header: nats.Header{
		"Nats-Stream": {l.options.Stream}, "Nats-Subject": {l.stored(token(channel))}, nats.MsgIdHdr: {"forged"},
		"Nats-Sequence": {strconv.FormatUint(seq, 10)}, "Nats-Last-Sequence": {strconv.FormatUint(prev, 10)},
		"Nats-Time-Stamp": {time.Now().UTC().Format(time.RFC3339Nano)},
	}}))
	require.NoError(t, nc.Flush())
}

// A forged message cannot hide the real messages of the stream.
func TestForgedFeed(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: "s", TailCheck: 200 * time.Millisecond})
	closeLog(t, l)
	nc := connect(t, s)
	r := publish(t, l, "room", "1")
	f := follow(t, l, "room")
	require.NoError(t, nc.Publish(l.republished(token("room")), []byte("no header")))
	forge(t, nc, l, "room", math.MaxUint64, r.Seq+1000) // no such message: the stream is read
	forge(t, nc, l, "room", r.Seq, 0)                   // an old one
	publish(t, l, "room", "2")
	f.until(t, func(got []*eventlog.Record, lost error) bool { return len(got) > 0 || lost != nil })

	g := follow(t, l, "other")
	r = publish(t, l, "other", "1")
	g.sees(t, "1")
	forge(t, nc, l, "other", math.MaxUint64, r.Seq) // follows the newest
	require.Error(t, g.isLost(t))
	h := follow(t, l, "other")
	publish(t, l, "other", "2")
	h.sees(t, "2")
}

// While the server is out of reach, calls are answered from memory for a while, then fail;
// then feeds are lost.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	o := Options{Stream: "s", TailCheck: 100 * time.Millisecond, tooLong: 4 * time.Second, cutOff: 8 * time.Second, giveUp: 2 * time.Second}
	l := openLog(t, connect(t, m.s), o)
	closeLog(t, l)
	f := follow(t, l, "room")
	r := publish(t, l, "room", "1")
	f.sees(t, "1")
	m.stop()
	_, err := l.Head(t.Context(), "room")
	require.NoError(t, err)
	texts, truncated := after(t, l, "room", eventlog.Position{Epoch: r.Epoch, Seq: r.Seq - 1})
	require.False(t, truncated)
	require.Equal(t, []string{"1"}, texts)
	_, err = l.After(t.Context(), "room", eventlog.Position{})
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.ErrorIs(t, l.Append(t.Context(), "room", &eventlog.Record{}, nil), eventlog.ErrUncertain)

	require.ErrorIs(t, f.isLost(t), eventlog.ErrUnavailable)
	_, err = l.Head(t.Context(), "room")
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	_, _, err = l.Follow(t.Context(), "room", newFollower())
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Append(ctx, "room", &eventlog.Record{}, nil), context.DeadlineExceeded)

	m.start()
	for err = errors.New("down"); err != nil; {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err = l.Append(ctx, "room", &eventlog.Record{Data: []byte("2")}, nil)
		require.NoError(t, ctx.Err())
		cancel()
	}
	g := follow(t, l, "room")
	publish(t, l, "room", "3")
	g.sees(t, "3")
}

// Resumes are served from memory, within CacheBytes.
func TestTail(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	const budget = 64 << 10
	l := openLog(t, connect(t, s), Options{Stream: "s", CacheBytes: budget})
	closeLog(t, l)
	positions := map[string][]eventlog.Position{}
	for _, channel := range []string{"a", "b", "c"} {
		f := follow(t, l, channel)
		for i := range 100 {
			positions[channel] = append(positions[channel], publish(t, l, channel, fmt.Sprintf("%01000d", i)).Position())
		}
		f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) == 100 })
		require.LessOrEqual(t, l.Stats().CacheBytes, int64(budget))
	}
	require.Greater(t, l.Stats().CacheBytes, int64(budget/2))
	for channel, list := range positions {
		for i, p := range list {
			texts, truncated := after(t, l, channel, p)
			require.False(t, truncated)
			require.Len(t, texts, 99-i, "after record %d of %s", i, channel)
		}
	}
	for _, channel := range []string{"a", "b", "c"} {
		l.feedOf(channel).lose(errReplaced)
	}
	require.Zero(t, l.Stats().CacheBytes)
}

// A stream that could lose events unnoticed is refused, and the error names the setting.
func TestConfig(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	cases := map[string]func(c *jetstream.StreamConfig){
		"Subjects":          func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, c.Name+".more") },
		"MaxAge":            func(c *jetstream.StreamConfig) { c.MaxAge = time.Minute; c.Duplicates = time.Minute },
		"MaxBytes":          func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 },
		"Storage":           func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"Retention":         func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"Discard":           func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew },
		"Duplicates":        func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
		"DenyDelete":        func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"DenyPurge":         func(c *jetstream.StreamConfig) { c.DenyPurge = false },
		"AllowDirect":       func(c *jetstream.StreamConfig) { c.AllowDirect = false },
		"NoAck":             func(c *jetstream.StreamConfig) { c.NoAck = true },
		"MaxMsgsPerSubject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"AllowRollup":       func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false },
		"AllowMsgTTL":       func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
		"RePublish":         func(c *jetstream.StreamConfig) { c.RePublish = nil },
		"RePublish is not":  func(c *jetstream.StreamConfig) { c.RePublish.HeadersOnly = true },
	}
	for setting, change := range cases {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			o, err := (&Options{Stream: freshName()}).withDefaults()
			require.NoError(t, err)
			l := &Log{options: o}
			config := o.config(l.stored(">"), l.republished(">"))
			change(&config)
			_, err = js.CreateStream(t.Context(), config)
			require.NoError(t, err)
			_, err = Open(t.Context(), nc, &o)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, setting[:min(len(setting), 9)])
		})
	}
	for name, o := range map[string]*Options{
		"no stream": nil, "a subject": {Stream: "a.b"}, "replicas": {Stream: "x", Replicas: 7}, "bytes": {Stream: "x", MaxBytes: -1},
		"short retention": {Stream: "x", Retention: time.Second}, "tail check": {Stream: "x", TailCheck: -1},
	} {
		_, err := Open(t.Context(), nc, o)
		require.ErrorContains(t, err, "natslog: open: ", name)
	}
	_, err = Open(t.Context(), nc, &Options{Stream: "x", Replicas: 3})
	require.Error(t, err, "one server can only store one replica")
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: "s"})
	closeLog(t, l)
	large := &eventlog.Record{Data: make([]byte, 9<<20)}
	require.ErrorIs(t, l.Append(t.Context(), "room", large, nil), eventlog.ErrTooLarge)
	publish(t, l, "room", "small")
}

// An append whose feed was lost before it stores nothing, so that its caller may try again.
// The error of one whose feed is lost later does not permit that.
func TestAppendToALostFeed(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: freshName()})
	closeLog(t, l)
	never := func(*eventlog.Record) { t.Error("delivered") }
	lose := func(f *feed) { f.lose(fmt.Errorf("out of reach: %w", eventlog.ErrUnavailable)) }

	f := acquire(t, l, "room")
	lose(f)
	r := &eventlog.Record{Data: []byte("lost")}
	require.ErrorIs(t, l.appendTo(t.Context(), f, l.message("room", "", encode(r)), r, never), eventlog.ErrUnavailable)
	texts, _ := after(t, l, "room", eventlog.Position{})
	require.Empty(t, texts)

	f = acquire(t, l, "room")
	defer l.release(f)
	w, err := f.await("id", r, never)
	require.NoError(t, err)
	lose(f)
	err = <-w.done
	require.ErrorIs(t, err, eventlog.ErrUncertain)
	require.NotErrorIs(t, err, eventlog.ErrUnavailable)
}

func acquire(t *testing.T, l *Log, channel string) (f *feed) {
	t.Helper()
	patiently(t, func() (err error) {
		f, err = l.acquire(t.Context(), channel)
		return err
	})
	return f
}
