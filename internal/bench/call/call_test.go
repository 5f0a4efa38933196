//go:build unix

// Package call_test compares a typed method call over an iterator's socket with the same
// unary call through connect-go, over HTTP/1.1 with keep-alive. Client and server are in
// one process, so the cost of both sides is measured.
//
//	go test -bench . -benchmem -count 5 ./call
package call_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const secret = token.Secret("bench")

// note is the input and the output: 100 bytes of JSON.
type note struct {
	ID   int64  `json:"id"   validate:"required"`
	From string `json:"from" validate:"required,max=40"`
	Text string `json:"text" validate:"required,max=500"`
}

var (
	sent = note{ID: 1234567890, From: "ann", Text: "the quick brown fox jumps over the lazy dog, and then over the fox"}
	echo = rpc.Define[note, note]("echo")
)

// caller carries out one call and checks its answer.
type caller func(ctx context.Context) error

// contestant is a way to call. open starts a server and a client for it.
type contestant struct {
	name string
	open func(tb testing.TB) caller
}

// The codec of connect-go that does the same work encodes plain structs as JSON, but it is
// made for protocol buffers, which are cheaper. Neither validates. By default connect-go
// compresses answers, which costs more than everything else: the other contestants do not.
var (
	asItComes    = contestant{"connect-json", openConnectJSON(true)}
	uncompressed = contestant{"connect-json-uncompressed", openConnectJSON(false)}

	contestants = []contestant{{"socket", openSocket}, asItComes, uncompressed, {"connect-proto-uncompressed", openConnectProto}}
)

type room struct{ *durableobject.Object[note] }

func (*room) Echo(_ context.Context, _ *durableobject.Websocket, in note) (note, error) {
	return in, nil
}

func pass(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
	return next(ctx, call)
}

func openSocket(tb testing.TB) caller {
	tb.Helper()
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[note]) (*room, error) {
		return &room{o}, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, Interceptors: []rpc.Interceptor{pass}})
	durableobject.Handle(rooms, echo, (*room).Echo)
	server := httptest.NewServer(durableobject.NewHandler(rooms, nil))
	tb.Cleanup(server.Close)

	text, err := secret.Sign(tb.Context(), &token.Payload{Channel: "bench", RPC: []string{"echo"}, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(tb, err)
	it, err := client.Dial[note](tb.Context(), client.StaticToken(text), &client.Options{URL: server.URL, Interceptors: []rpc.Interceptor{pass}})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, it.Close()) })
	return func(ctx context.Context) error {
		out, err := echo.Call(ctx, it, sent)
		return check(out == sent, err)
	}
}

// structs is a codec of plain structs.
type structs struct{}

func (structs) Name() string                       { return "json" }
func (structs) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (structs) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func openConnectJSON(compressed bool) func(tb testing.TB) caller {
	return func(tb testing.TB) caller {
		tb.Helper()
		unary := openConnect[note](tb, structs{}, compressed)
		return func(ctx context.Context) error {
			in := sent
			out, err := unary.CallUnary(ctx, connect.NewRequest(&in))
			return check(err == nil && *out.Msg == sent, err)
		}
	}
}

func openConnectProto(tb testing.TB) caller {
	tb.Helper()
	text, err := json.Marshal(sent)
	require.NoError(tb, err)
	unary := openConnect[wrapperspb.StringValue](tb, nil, false)
	return func(ctx context.Context) error {
		out, err := unary.CallUnary(ctx, connect.NewRequest(wrapperspb.String(string(text))))
		return check(err == nil && len(out.Msg.GetValue()) == len(text), err)
	}
}

func openConnect[T any](tb testing.TB, codec connect.Codec, compressed bool) *connect.Client[T, T] {
	tb.Helper()
	interceptor := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) { return next(ctx, r) }
	})
	options := []connect.Option{connect.WithInterceptors(interceptor)}
	if codec != nil {
		options = append(options, connect.WithCodec(codec))
	}
	forHandler := []connect.HandlerOption{connect.WithOptions(options...)}
	forClient := []connect.ClientOption{connect.WithOptions(options...)}
	if !compressed {
		forHandler = append(forHandler, connect.WithCompression("gzip", nil, nil))
		forClient = append(forClient, connect.WithAcceptCompression("gzip", nil, nil))
	}
	const procedure = "/bench.v1.Bench/Echo"
	mux := http.NewServeMux()
	mux.Handle(procedure, connect.NewUnaryHandler(procedure, func(_ context.Context, r *connect.Request[T]) (*connect.Response[T], error) {
		return connect.NewResponse(r.Msg), nil
	}, forHandler...))
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)

	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return connect.NewClient[T, T](&http.Client{Transport: transport}, server.URL+procedure, forClient...)
}

type wrongAnswerError struct{}

func (wrongAnswerError) Error() string { return "not what was sent" }

func check(same bool, err error) error {
	if err == nil && !same {
		return wrongAnswerError{}
	}
	return err
}

func BenchmarkCall(b *testing.B) {
	for _, c := range contestants {
		b.Run(c.name, func(b *testing.B) {
			call := c.open(b)
			measure(b, func() {
				for b.Loop() {
					require.NoError(b, call(b.Context()))
				}
			})
		})
	}
}

func BenchmarkCallParallel(b *testing.B) {
	for _, c := range contestants {
		b.Run(c.name, func(b *testing.B) {
			call := c.open(b)
			b.SetParallelism(8)
			measure(b, func() {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := call(b.Context()); err != nil {
							b.Error(err)
						}
					}
				})
			})
		})
	}
}

// BenchmarkCost measures the cost of calls, in processor time and in allocations, as a
// ratio to the contestants with the same codec: the median of runs that take turns, so that
// other load on the machine affects all. With one caller on an idle machine much of the
// time is spent waking processors; -cpu 1 measures only the work.
func BenchmarkCost(b *testing.B) {
	for _, callers := range []int{1, 16} {
		for _, beside := range []contestant{asItComes, uncompressed} {
			b.Run(strconv.Itoa(callers)+"-callers/"+beside.name, func(b *testing.B) {
				socket, connect := openSocket(b), beside.open(b)
				var time, allocs []float64
				spend(b, callers, socket)
				spend(b, callers, connect)
				for b.Loop() {
					own, other := spend(b, callers, socket), spend(b, callers, connect)
					time = append(time, float64(own.cpu)/float64(other.cpu))
					allocs = append(allocs, float64(own.allocs)/float64(other.allocs))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(time), "cpu-ratio")
				b.ReportMetric(median(allocs), "allocs-ratio")
			})
		}
	}
}

// spent has the cost of calls for the process, both sides together.
type spent struct {
	cpu    time.Duration
	allocs uint64
}

// spend makes 960 calls.
func spend(tb testing.TB, callers int, call caller) spent {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpu(tb)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range 960 / callers {
				if err := call(tb.Context()); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	wg.Wait()
	used := cpu(tb) - start
	runtime.ReadMemStats(&after)
	return spent{used, after.Mallocs - before.Mallocs}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// measure reports what the process has spent, in user and system mode, per call.
func measure(b *testing.B, run func()) {
	b.Helper()
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	run()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// atMost is how many hundredths of the allocations of connect-go a call may make.
const atMost = 50

// TestAllocations compares the number of allocations, which does not depend on a clock,
// with that of the contestant that makes the fewest with the same codec.
func TestAllocations(t *testing.T) {
	made := map[string]uint64{}
	for _, c := range contestants {
		made[c.name] = allocations(t, c.open(t))
		t.Logf("%-26s %d allocations for each call", c.name, made[c.name])
	}
	require.LessOrEqual(t, 100*made["socket"], atMost*made[uncompressed.name])
}

// allocations returns how many allocations one call makes in a warm process, as the mean of many calls. The
// server's goroutines count too.
func allocations(t *testing.T, call caller) uint64 {
	t.Helper()
	return uint64(testing.AllocsPerRun(2000, func() {
		if err := call(t.Context()); err != nil {
			require.NoError(t, err)
		}
	}))
}
