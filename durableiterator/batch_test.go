package durableiterator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// In a batch only the call that returns a token has the header that marks it.
func TestTokenInABatch(t *testing.T) {
	t.Parallel()
	key := token.Secret("secret")
	ping := rpc.Define[rpc.Void, string]("ping")
	batches := 0
	handler := rpc.NewHandler(rpc.NewRouter(
		listen.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
			return durableiterator.New[string]("room", nil), nil
		}),
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
	), &rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}, &rpc.BatchPlugin{}}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		batches++
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	link := rpc.NewLink(server.URL, &rpc.LinkOptions{
		HTTPClient: server.Client(), Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Hour}},
	})
	var calls sync.WaitGroup
	calls.Go(func() {
		var header http.Header
		out, err := link.Call(t.Context(), &rpc.Call{Path: []string{"listen"}, New: func() any { return new(string) }}, rpc.WithResponseHeader(&header))
		require.NoError(t, err)
		require.Equal(t, "1", header.Get("X-Orpc-Durable-Iterator"))
		payload, err := key.Verify(t.Context(), out.(string))
		require.NoError(t, err)
		require.Equal(t, "room", payload.Channel)
	})
	calls.Go(func() {
		var header http.Header
		_, err := ping.Call(t.Context(), link, rpc.Void{}, rpc.WithResponseHeader(&header))
		require.NoError(t, err)
		require.Empty(t, header.Get("X-Orpc-Durable-Iterator"))
	})
	calls.Wait()
	require.Equal(t, 1, batches)
}
