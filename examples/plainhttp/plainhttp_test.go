package main

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

func TestNoticesArrive(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, "bob hears from ann: lunch?\nann hears from bob: at noon\n", out.String())
}

// The service's middleware protects the routes for tokens and the procedures.
func TestNobodyListensUnasked(t *testing.T) {
	t.Parallel()
	server, stop, err := serve(t.Context())
	require.NoError(t, err)
	defer stop()

	_, err = client.Dial[Notice](t.Context(), client.HTTPToken(server+"/notices", nil), &client.Options{URL: server + "/socket"})
	require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(err), "%v", err)

	_, err = Notify.Call(t.Context(), rpc.NewLink(server+"/rpc", nil), NotifyInput{To: "ann", Text: "spam"})
	require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(err), "%v", err)

	for path, status := range map[string]int{"/me": 401, "/notices": 401, "/socket": 426} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+path, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, status, answer.StatusCode, path)
	}
}
