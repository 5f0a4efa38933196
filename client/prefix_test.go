//go:build !js

package client_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The text of an error begins with the name of the package, and has it once.
func TestErrorsNameThePackageOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		dial := func(src client.TokenSource, change func(*client.Options)) error {
			o := h.options()
			if change != nil {
				change(o)
			}
			_, err := client.Dial[string](t.Context(), src, o)
			return err
		}
		closed, _ := h.live(h.options())
		require.NoError(t, closed.Close())
		_, call := rpc.Define[string, string]("m").Call(t.Context(), closed, "in")
		h.answer = func(int, *http.Request) (int, http.Header, string) { return 403, nil, "no" }
		for name, err := range map[string]error{
			"no source":         dial(nil, nil),
			"a malformed token": dial(client.StaticToken("x"), nil),
			"no such file":      dial(client.FileToken("/nowhere/token"), nil),
			"bad options":       dial(h.source(), func(o *client.Options) { o.BufferSize = -1 }),
			"a bad address":     dial(h.source(), func(o *client.Options) { o.URL = "ftp://host" }),
			"a bad URLFunc": dial(h.source(), func(o *client.Options) {
				o.URLFunc = func(context.Context, *token.Payload) (string, error) { return "", context.Canceled }
			}),
			"refused": dial(h.source(), nil),
			"a server that is down": func() error {
				h.server.SetDown(true)
				return dial(h.source(), func(o *client.Options) { o.ConnectTimeout = 5 * time.Second })
			}(),
			"call of a closed iterator": call,
		} {
			require.Error(t, err, name)
			require.True(t, strings.HasPrefix(err.Error(), "client: "), "%s: %v", name, err)
			require.Equal(t, 1, strings.Count(err.Error(), "client: "), "%s: %v", name, err)
		}
	})
}
