package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// The worker is another process: this test binary, started again.
func TestMain(m *testing.M) {
	if os.Getenv(hubAddress) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEventsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	require.NoError(t, play(ctx, &out))
	require.Equal(t, `ann's laptop: export 10% []
ann's laptop: export 40% []
ann's laptop: export 100% [by worker 7]
bob's phone: export 10% []
bob's phone: export 60% []
bob's phone: export 80% []
bob's phone: export 100% [by worker 7]
`, out.String())
}

func TestOnlyServicesPublish(t *testing.T) {
	t.Parallel()
	server, stop, err := serve(t.Context(), "right")
	require.NoError(t, err)
	defer stop()

	require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(work(t.Context(), server, "wrong")))
	_, err = Publish.Call(t.Context(), rpc.NewLink(server+"/services", nil), PublishInput{})
	require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(err), "not even an invalid input is looked at")
	_, err = Publish.Call(t.Context(), rpc.NewLink(server+"/rpc", nil), PublishInput{Channel: "team"})
	require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err), "users cannot call the procedure")
	require.NoError(t, work(t.Context(), server, "right"))
}
