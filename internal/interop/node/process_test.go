package node_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/interop/launch"
)

// server has the output of a server: its addresses and its features.
type server struct {
	RPC          string   `json:"rpc"`
	RPCWebsocket string   `json:"rpcWebsocket"`
	Chat         string   `json:"chat,omitempty"`
	Plain        string   `json:"plain,omitempty"`
	Latest       string   `json:"latest,omitempty"`
	Features     []string `json:"features"` // see lib/arguments.mjs
}

// startGo starts the server of this library.
func startGo(t *testing.T, arguments ...string) server {
	t.Helper()
	var s server
	launch.Go(t, "../server", &s, arguments...)
	s.RPCWebsocket = "ws" + strings.TrimPrefix(s.RPC, "http") + "-ws"
	s.Features = goFeatures
	return s
}

// startTypeScript starts the server of @orpc/server.
func startTypeScript(t *testing.T) server {
	t.Helper()
	var s server
	launch.Server(t, exec.Command(tool(t, "node"), "server.mjs"), &s)
	s.Features = typeScriptFeatures
	return s
}

// run runs the checks of a script against a server.
func run(t *testing.T, script string, s server) {
	t.Helper()
	arguments, err := json.Marshal(s)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, "node"), script, string(arguments))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s:\n%s", script, out)
	// At least one check must have run.
	require.Regexp(t, `(?:^|\n)[1-9][0-9]* passed, 0 failed\n$`, string(out))
}
