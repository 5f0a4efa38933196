//go:build e2e

package main

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// The page in web/page.ts works, under Node instead of in a browser. Its packages are
// installed by npm --prefix client/js ci.
func TestPage(t *testing.T) {
	t.Parallel()
	js, err := filepath.Abs("../../client/js")
	require.NoError(t, err)
	page := filepath.Join(t.TempDir(), "page.mjs")
	bundle := exec.CommandContext(t.Context(), filepath.Join(js, "node_modules/.bin/esbuild"), "web/page.ts",
		"--bundle", "--format=esm", "--outfile="+page, "--alias:@go-orpc/durable-iterator-client/orpc="+filepath.Join(js, "src/orpc.ts"))
	bundle.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(js, "node_modules"))
	out, err := bundle.CombinedOutput()
	require.NoError(t, err, "%s\nnpm --prefix client/js ci", out)

	for name, c := range map[string]struct {
		seats int
		want  string
	}{
		"sold":     {9, "ann has 4"},
		"sold out": {3, "only 3 seats are left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, shutdown := newServer(token.Secret("secret"), c.seats)
			server := httptest.NewServer(handler)
			defer server.Close()
			defer func() { require.NoError(t, shutdown(context.Background())) }()

			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			node := exec.CommandContext(ctx, "node", "--experimental-websocket", "--no-warnings",
				"--import", "data:text/javascript,globalThis.location=new URL('"+server.URL+"/')", page)
			node.Stderr = os.Stderr
			printed, err := node.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, node.Start())
			lines := bufio.NewScanner(printed)
			for _, want := range []string{"the board says pong", c.want} {
				require.True(t, lines.Scan())
				require.Equal(t, want, lines.Text())
			}
			leave()
			require.Error(t, node.Wait(), "a page does not end by itself")
		})
	}
}
