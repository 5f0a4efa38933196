package natslog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func publishKey(t *testing.T, l *Log, key string) eventlog.Position {
	t.Helper()
	r := &eventlog.Record{Key: key, Data: []byte("of " + key)}
	patiently(t, func() error { return l.Append(t.Context(), "room", r, nil) })
	return r.Position()
}

func TestKeyIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, channel := range []string{"", "a", "ab", "a\x01", strings.Repeat("n", 300)} {
		for _, key := range []string{"a", "b", "ab", "\x00", "\xff", strings.Repeat("k", 128)} {
			id := keyID(channel, key)
			require.Regexp(t, "^k[A-Za-z0-9_-]{43}$", id)
			require.NotContains(t, seen, id, "%q and %q", channel+"|"+key, seen[id])
			seen[id] = channel + "|" + key
		}
	}
}

// The duplicate window of a stream is the time for which it remembers keys, so it must be
// that of the options.
func TestKeyWindow(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	name := freshName()
	l := openLog(t, nc, Options{Stream: name, KeyWindow: 10 * time.Minute})
	require.Equal(t, 10*time.Minute, eventlog.KeyWindow(l))
	require.NoError(t, l.Close())
	for window, shown := range map[time.Duration]string{0: "2m0s", 5 * time.Minute: "5m0s", 20 * time.Minute: "20m0s"} {
		_, err := Open(t.Context(), nc, &Options{Stream: name, KeyWindow: window})
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, "Duplicates is 10m0s, not "+shown)
	}
	for want, o := range map[string]Options{
		"negative KeyWindow -1ns":                                 {KeyWindow: -1},
		"option KeyWindow 2h0m0s is longer than Retention 1h0m0s": {KeyWindow: 2 * time.Hour},
		"option KeyWindow 2m0s is longer than Retention 1m0s":     {KeyWindow: 2 * time.Minute, Retention: time.Minute},
		"option KeyWindow 10m0.5s is longer than Retention 10m0s": {KeyWindow: 10*time.Minute + time.Second/2, Retention: 10 * time.Minute},
	} {
		o.Stream = name
		_, err := Open(t.Context(), nc, &o)
		require.EqualError(t, err, "natslog: open: "+want)
	}
	short := openLog(t, nc, Options{Stream: freshName(), Retention: time.Minute})
	closeLog(t, short)
	require.Equal(t, time.Minute, eventlog.KeyWindow(short))
}

// If the acknowledgement is for a message that another node has stored, the node does not
// take it for its own, and does not conclude that the stream has lost records.
func TestRepetitionAtAnotherNode(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	o := Options{Stream: freshName()}
	here, there := openLog(t, connect(t, s), o), openLog(t, connect(t, s), o)
	closeLog(t, here)
	closeLog(t, there)
	f := follow(t, there, "room")
	for i := range 20 {
		key := fmt.Sprint(i)
		first := publishKey(t, here, key)
		require.Equal(t, first, publishKey(t, there, key))
		patiently(t, func() error { return there.check(t.Context()) })
		require.Equal(t, first, publishKey(t, here, key))
		patiently(t, func() error { return here.check(t.Context()) })
	}
	publish(t, there, "room", "last")
	f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) > 20 })
	require.Len(t, f.got, 21)
	require.Zero(t, here.Stats().Resets+there.Stats().Resets)
}

// An append whose acknowledgement was lost is sent again, and is then acknowledged as a
// repetition of itself, which is delivered.
func TestOwnRepetition(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: freshName()})
	closeLog(t, l)
	f := acquire(t, l, "room")
	defer l.release(f)
	r := &eventlog.Record{Key: "k", Data: []byte("x")}
	delivered := 0
	m := l.message("room", r.Key, encode(r))
	w, err := f.await(idOf(m.Header), r, func(*eventlog.Record) { delivered++ })
	require.NoError(t, err)
	seq, _, repeated, err := l.publish(t.Context(), m)
	require.NoError(t, err)
	require.False(t, repeated)
	require.NoError(t, l.awaitDelivery(t.Context(), f, w, m))
	require.Equal(t, 1, delivered)
	require.Equal(t, seq, r.Seq)
	require.Equal(t, r.Position(), publishKey(t, l, "k"))
}
