package natslog

import (
	"context"
	"encoding/hex"
	"hash/fnv"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// busOf returns the bus of a new log.
func busOf(t *testing.T, nc *nats.Conn, o Options) (*Log, eventlog.Bus) {
	t.Helper()
	l := openLog(t, nc, o)
	closeLog(t, l)
	return l, eventlog.BusOf(l)
}

func TestBus(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	eventlogtest.RunBus(t, eventlogtest.BusStore{
		Open: func(*testing.T) eventlogtest.BusHandles {
			o := Options{Stream: freshName(), tooLong: time.Second}
			wires := map[eventlog.Bus]*wire{}
			return eventlogtest.BusHandles{
				Handle: func(t *testing.T) eventlog.Bus {
					w := &wire{}
					_, b := busOf(t, connect(t, s, nats.SetCustomDialer(w)), o)
					wires[b] = w
					return b
				},
				Cut: func(h eventlog.Bus, cut bool) {
					wires[h].cut(cut)
					for nc := h.(*bus).log.nc; nc.IsConnected() == cut; {
						runtime.Gosched()
					}
				},
			}
		},
		OpenDir: func(t *testing.T, dir string) (eventlog.Bus, func()) {
			name := fnv.New64a()
			_, _ = name.Write([]byte(dir)) // always returns nil
			l := openLog(t, connect(t, s), Options{Stream: hex.EncodeToString(name.Sum(nil))})
			return l.Bus(), func() { require.NoError(t, l.Close()) }
		},
	})
}

// Kept values survive a restart of the servers, and a node that has them in memory notices
// values that others have kept meanwhile.
func TestBusKeepsOverARestart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	_, b := busOf(t, connect(t, m.s), Options{Stream: "s"})
	require.NoError(t, b.Keep(t.Context(), "k", []byte("v"), time.Hour))
	m.stop()
	require.Eventually(t, func() bool {
		_, err := b.Kept(t.Context(), "")
		return err != nil
	}, 30*time.Second, 10*time.Millisecond)
	_, err := b.Kept(t.Context(), "")
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.ErrorIs(t, b.Broadcast(t.Context(), "t", nil), eventlog.ErrUnavailable)
	_, err = b.Listen(t.Context(), "t", func([]byte) {})
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	m.start()
	_, other := busOf(t, connect(t, m.s), Options{Stream: "s"})
	require.NoError(t, other.Keep(t.Context(), "l", []byte("w"), time.Hour))
	for _, node := range []eventlog.Bus{other, b} {
		var kept map[string][]byte
		require.Eventually(t, func() bool {
			var err error
			kept, err = node.Kept(t.Context(), "")
			return err == nil
		}, 30*time.Second, 10*time.Millisecond)
		require.Equal(t, map[string][]byte{"k": []byte("v"), "l": []byte("w")}, kept)
	}
}

// Values that were read are not read again, unless the stream was created again.
func TestBusOfAStreamThatIsReplaced(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	o := Options{Stream: freshName()}
	_, b := busOf(t, connect(t, s), o)
	require.NoError(t, b.Keep(t.Context(), "old", nil, time.Hour))
	_, err := b.Kept(t.Context(), "")
	require.NoError(t, err)
	js, err := jetstream.New(connect(t, s))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), o.Stream+"_bus"))
	_, err = b.Kept(t.Context(), "")
	require.Error(t, err)
	_, other := busOf(t, connect(t, s), o)
	require.NoError(t, other.Keep(t.Context(), "new", nil, time.Hour))
	kept, err := b.Kept(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, kept, "new")
}

// A full bus drops nothing, and can still replace and remove values.
func TestBusIsFull(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	_, b := busOf(t, connect(t, s), Options{Stream: freshName(), busBytes: 4 << 10})
	value := make([]byte, 1<<10)
	keys := 0
	var err error
	for ; err == nil; keys++ {
		err = b.Keep(t.Context(), string(rune('a'+keys)), value, time.Hour)
	}
	require.ErrorIs(t, err, eventlog.ErrBusFull)
	require.NoError(t, b.Keep(t.Context(), "a", value[:900], time.Hour))
	kept, err := b.Kept(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, kept, keys-1)
	require.NoError(t, b.Keep(t.Context(), "a", nil, 0))
	require.NoError(t, b.Keep(t.Context(), "z", nil, time.Hour))
}

// Messages that were not sent by a bus are counted and skipped.
func TestBusSkipsWhatIsNotOfIt(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l, bus := busOf(t, nc, Options{Stream: freshName()})
	heard := make(chan []byte, 8)
	stop, err := bus.Listen(t.Context(), "t", func(data []byte) { heard <- data })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, nc.Publish(l.bus.subject("t"), make([]byte, eventlog.MaxBusBytes+1)))
	require.NoError(t, bus.Broadcast(t.Context(), "t", []byte("good")))
	require.Equal(t, "good", string(<-heard))
	require.EqualValues(t, 1, l.Stats().Broken)

	require.NoError(t, bus.Keep(t.Context(), "good", []byte("v"), time.Hour))
	long := appendString([]byte{keptVersion, 9}, make([]byte, eventlog.MaxBusName+1))
	bad := map[string][]byte{
		"empty": nil, "another version": {9}, "no time": {keptVersion}, "no key": {keptVersion, 9},
		"an empty key": {keptVersion, 9, 0}, "a short key": {keptVersion, 9, 5, 'x'},
		"a long key":        long,
		"a time too long":   {keptVersion, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1, 'x'},
		"the key of others": {keptVersion, 9, 4, 'g', 'o', 'o', 'd'},
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for name, data := range bad {
		_, err := js.Publish(t.Context(), l.bus.kept.subject(token(name)), data)
		require.NoError(t, err)
	}
	kept, err := bus.Kept(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"good": []byte("v")}, kept)
	require.EqualValues(t, 1+len(bad), l.Stats().Broken)
}

// Kept reads more values than a server sends at a time, and none twice.
func TestBusReadsManyValues(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	_, b := busOf(t, connect(t, s), Options{Stream: freshName()})
	l, other := busOf(t, connect(t, s), Options{Stream: b.(*bus).log.options.Stream})
	value := make([]byte, 10<<10)
	for i := range 2*readBatch + 1 {
		require.NoError(t, b.Keep(t.Context(), string(rune('A'+i)), value, time.Hour))
	}
	kept, err := other.Kept(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, kept, 2*readBatch+1)
	through := l.bus.kept.through
	require.NoError(t, b.Keep(t.Context(), "A", nil, 0))
	kept, err = other.Kept(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, kept, 2*readBatch)
	require.Equal(t, through+1, l.bus.kept.through)
}

// Close ends listeners and calls.
func TestBusEndsWithTheLog(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l := openLog(t, nc, Options{Stream: freshName()})
	b := l.Bus()
	stop, err := b.Listen(t.Context(), "t", func([]byte) { t.Error("called after Close") })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, l.Close())
	require.NoError(t, nc.Publish(l.bus.subject("t"), nil))
	require.NoError(t, nc.Flush())
	require.ErrorIs(t, b.Broadcast(t.Context(), "t", nil), eventlog.ErrClosed)
	_, err = b.Listen(t.Context(), "t", func([]byte) {})
	require.ErrorIs(t, err, eventlog.ErrClosed)

	m := newMachine(t)
	l = openLog(t, connect(t, m.s), Options{Stream: "s"})
	m.stop()
	failed := make(chan error)
	go func() { failed <- l.Bus().Keep(context.Background(), "k", nil, time.Hour) }()
	runtime.Gosched() // Close ends the call or happens before it
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-failed, eventlog.ErrClosed)
}

func TestBusChecksItsStream(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	o := Options{Stream: freshName()}
	busOf(t, nc, o)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), o.Stream+"_bus")
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.Discard = jetstream.DiscardOld
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	_, err = Open(t.Context(), nc, &o)
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "Discard is")

	o.NoBus = true
	l := openLog(t, nc, o)
	closeLog(t, l)
	require.Nil(t, eventlog.BusOf(l))
}
