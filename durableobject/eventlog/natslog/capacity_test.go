package natslog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/child"
)

// serveEnv is the environment variable that makes this program a NATS server. Its value is
// the directory of the streams.
const serveEnv = "NATSLOG_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// status is a line of a server's output.
type status struct {
	URL  string `json:"url"`
	Heap uint64 `json:"heap"` // bytes in use
}

// serve runs a NATS server. It writes its status at first, and again for each line of its
// input, until the input ends.
func serve(dir string) error {
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, JetStreamMaxStore: roomForAll,
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("the server does not get ready")
	}
	for lines := bufio.NewScanner(os.Stdin); ; {
		if err := json.NewEncoder(os.Stdout).Encode(status{s.ClientURL(), heap()}); err != nil {
			return err
		}
		if !lines.Scan() {
			return errors.Join(lines.Err(), io.EOF)
		}
	}
}

// heap returns how many bytes of the heap are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // for values with finalizers
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// remote is a server in a separate process, so that its memory can be distinguished from
// that of the log.
type remote struct {
	*child.Process
	lines chan status
	url   string
}

func startRemote(tb testing.TB) *remote {
	tb.Helper()
	r := &remote{lines: make(chan status, 1)}
	var err error
	r.Process, err = child.Start(tb.Context(), serveEnv+"="+tb.TempDir(), nil, func(line string) error {
		var s status
		err := json.Unmarshal([]byte(line), &s)
		r.lines <- s
		return err
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = r.Kill() })
	require.NoError(tb, r.Wait(tb.Context()))
	r.url = (<-r.lines).URL
	return r
}

// heap returns how many bytes of the server's heap are in use.
func (r *remote) heap(tb testing.TB) uint64 {
	tb.Helper()
	require.NoError(tb, r.Tell("status"))
	return (<-r.lines).Heap
}

func (r *remote) connect(tb testing.TB) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(r.url)
	require.NoError(tb, err)
	tb.Cleanup(nc.Close)
	return nc
}

// inParallel calls f for each of n numbers.
func inParallel(tb testing.TB, n int, f func(i int) error) {
	tb.Helper()
	const workers = 64
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := w; i < n; i += workers {
				if err := f(i); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

// nobody is a follower that ignores records.
type nobody struct{}

func (nobody) Deliver(*eventlog.Record) {}
func (nobody) Lost(error)               {}

// followAll follows n channels, and returns the heap memory of each.
func followAll(tb testing.TB, l *Log, n int) (bytes uint64) {
	tb.Helper()
	stops := make([]func(), n) // a namespace keeps them too
	before := heap()
	inParallel(tb, n, func(i int) (err error) {
		_, stops[i], err = l.Follow(tb.Context(), strconv.Itoa(i), nobody{})
		return err
	})
	after := heap()
	for _, stop := range stops {
		tb.Cleanup(stop)
	}
	return (max(after, before) - before) / uint64(n)
}

// maxHeap is the maximum heap memory of a followed channel, without cached records.
const maxHeap = 1 << 10

func TestHeapOfAFollowedChannel(t *testing.T) {
	// Not parallel: the heap is that of the process.
	l := openLog(t, startRemote(t).connect(t), Options{Stream: "s"})
	closeLog(t, l)
	require.LessOrEqual(t, followAll(t, l, 10_000), uint64(maxHeap))
}

// BenchmarkTailCheck checks the tails of 50,000 followed channels. It also reports the heap
// memory of each, on the node and on the server.
func BenchmarkTailCheck(b *testing.B) {
	const channels = 50_000
	r := startRemote(b)
	l := openLog(b, r.connect(b), Options{Stream: "s", TailCheck: time.Hour, Retention: -1, CacheBytes: -1})
	server := r.heap(b)
	bytes := followAll(b, l, channels)
	server = (r.heap(b) - server) / channels
	inParallel(b, channels, func(i int) error {
		return l.Append(b.Context(), strconv.Itoa(i), &eventlog.Record{Data: []byte("x")}, nil)
	})
	for _, t := range l.tails() { // the first message of a channel is looked up in the stream
		for t.feed.newest().id == "" {
			<-time.After(time.Millisecond)
		}
	}
	concurrently(b, 1, func(int) error { return l.checkTails(b.Context(), l.tails()) })
	b.ReportMetric(float64(bytes), "heap-B/channel")
	b.ReportMetric(float64(server), "server-B/channel")
	require.NoError(b, l.Close())
}

// BenchmarkServerMemory measures the heap memory of the server for a channel with a
// retained event, and for an event whose id is remembered.
func BenchmarkServerMemory(b *testing.B) {
	const events = 200_000
	for name, test := range map[string]struct {
		channel func(i int) int
		id      bool
	}{
		"an event in each channel":             {func(i int) int { return i }, false},
		"events of 100 channels with their id": {func(i int) int { return i % 100 }, true},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				r := startRemote(b)
				l := openLog(b, r.connect(b), Options{Stream: "s"})
				js, err := jetstream.New(r.connect(b))
				require.NoError(b, err)
				before := r.heap(b)
				inParallel(b, events, func(i int) error {
					channel := strconv.Itoa(test.channel(i))
					if test.id {
						return l.Append(b.Context(), channel, &eventlog.Record{Data: []byte("x")}, nil)
					}
					_, err := js.Publish(b.Context(), l.stored(token(channel)), []byte("x"))
					return err
				})
				b.ReportMetric(float64(r.heap(b)-before)/events, "server-B/event")
				require.NoError(b, l.Close())
				require.NoError(b, r.Kill())
			}
		})
	}
}
