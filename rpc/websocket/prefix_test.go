//go:build !js

package websocket_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// The text of an error begins with the name of a package, and has each name once.
func TestErrorsNameThePackageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		open := func(ctx context.Context, address string) error {
			_, err := websocket.Dial(ctx, address, nil)
			return err
		}
		release := make(chan struct{})
		h, client := hostRouter(t, rpc.NewRouter(echo.Handler(func(_ context.Context, in any) (any, error) {
			<-release
			return in, nil
		})), nil)
		lost, closed := dial(t, client, websocket.LinkOptions{}), dial(t, client, websocket.LinkOptions{})
		require.NoError(t, closed.Close())
		call := func(l *websocket.Link) error {
			_, err := echo.Call(t.Context(), l, 1)
			return err
		}
		running := make(chan error, 1)
		go func() { running <- call(lost) }()
		synctest.Wait()
		shutdown := h.Shutdown(ended)
		<-lost.Done()
		close(release)
		for name, err := range map[string]error{
			"an address of another scheme": open(t.Context(), "ftp://host"),
			"an address that is none":      open(t.Context(), "://"),
			"an ended context":             open(ended, "ws://host"),
			"a shutdown that takes long":   shutdown,
			"a link that was ended":        lost.Err(),
			"a call that was running":      <-running,
			"a call on an ended link":      call(lost),
			"a call on a closed link":      call(closed),
		} {
			require.Error(t, err, name)
			text := err.Error()
			require.True(t, strings.HasPrefix(text, "websocket: ") || strings.HasPrefix(text, "rpc: "), "%s: %s", name, text)
			for _, pkg := range []string{"websocket: ", "rpc: "} {
				require.LessOrEqual(t, strings.Count(text, pkg), 1, "%s: %s", name, text)
			}
		}
	})
}
