//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/interop/launch"
	"github.com/go-orpc/durable-iterator/internal/interop/npm"
)

// scripts is the directory of the checks under Node.
const scripts = "../../interop/node"

// Nodes that share a stream pass the same checks of the wire format as one node: those with
// the client of this library, and those with @orpc/client under Node.
func TestInterop(t *testing.T) {
	t.Parallel()
	require.NoError(t, npm.Install(t.Context(), scripts))
	var at struct {
		RPC      string   `json:"rpc"`
		Chat     string   `json:"chat"`
		Plain    string   `json:"plain"`
		Latest   string   `json:"latest"`
		Features []string `json:"features"`
	}
	launch.Go(t, ".", &at, "-nodes", "2")
	at.Features = []string{"events", "files"} // see arguments.mjs
	arguments, err := json.Marshal(at)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		dir     string
		command []string
	}{
		"this library": {".", []string{"go", "run", "../../interop/client", at.RPC, at.Chat, "-extensions"}},
		"@orpc/client": {scripts, []string{"node", "iterator.mjs", string(arguments)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
			cmd.Dir = c.dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			// At least some checks must have run.
			require.Regexp(t, `(?:^|\n)[1-9][0-9]+ passed, 0 failed\n$`, string(out))
			t.Logf("%s", out[max(len(out)-60, 0):])
		})
	}
}
