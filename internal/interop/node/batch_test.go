package node_test

import (
	"cmp"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// testBatches makes calls that share requests.
func testBatches(t *testing.T, address string, plugin *rpc.BatchLinkPlugin) {
	t.Helper()
	sent := &batchRecorder{}
	link := rpc.NewLink(address, &rpc.LinkOptions{
		HTTPClient: &http.Client{Transport: sent}, Plugins: []rpc.LinkPlugin{plugin}, MaxURLLength: 4000,
	})
	ctx := t.Context()
	t.Run("outcomes", func(t *testing.T) {
		together(
			func() {
				out, err := ping.Call(ctx, link, rpc.Void{})
				require.NoError(t, err)
				require.Equal(t, "pong", out)
			},
			func() { echoes(t, link, newNative(t)) },
			func() { echoes[any](t, link, value.Undefined{}) },
			func() {
				_, err := fail.Call(ctx, link, kind{"defined"})
				data, ok := errTeapot.As(err)
				require.True(t, ok, "%v", err)
				require.Equal(t, kind{"green"}, data)
			},
			func() {
				_, err := unknown.Call(ctx, link, rpc.Void{})
				require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
			},
			func() {
				out, err := lastEventID.Call(ctx, link, rpc.Void{}, rpc.WithLastEventID("event-7"))
				require.NoError(t, err)
				require.Equal(t, "event-7", *out)
			},
			func() {
				_, err := download.Call(ctx, link, rpc.Void{})
				require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(err))
			},
		)
		require.Positive(t, sent.count(http.MethodPost))
	})
	t.Run("GET", func(t *testing.T) {
		var calls []func()
		for range 4 {
			calls = append(calls, func() {
				input := newNative(t)
				out, err := readable.Call(ctx, link, input)
				require.NoError(t, err)
				require.Equal(t, input, out.Got)
			})
		}
		together(calls...)
		require.Positive(t, sent.count(http.MethodGet))
	})
	testCalls(t, link)
}

// together runs functions at the same time.
func together(calls ...func()) {
	var running sync.WaitGroup
	for _, call := range calls {
		running.Go(call)
	}
	running.Wait()
}

// batchRecorder counts batches by method.
type batchRecorder struct {
	mu      sync.Mutex // guards batches
	batches map[string]int
}

func (b *batchRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Orpc-Batch") != "" {
		b.mu.Lock()
		if b.batches == nil {
			b.batches = map[string]int{}
		}
		b.batches[cmp.Or(r.Method, http.MethodGet)]++
		b.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (b *batchRecorder) count(method string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.batches[method]
}
