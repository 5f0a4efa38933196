package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is where a server is, as it says itself, and what it has.
type server struct {
	RPC          string   `json:"rpc"`
	RPCWebsocket string   `json:"rpcWebsocket"`
	Chat         string   `json:"chat,omitempty"`
	Plain        string   `json:"plain,omitempty"`
	Features     []string `json:"features"` // see lib/arguments.mjs
}

// startGo starts the server of this library. It looks for data races if this test
// does.
func startGo(t *testing.T) server {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program)
	if hasRaceDetector() {
		build.Args = append(build.Args, "-race")
	}
	build.Args = append(build.Args, "../server")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	s := start(t, exec.Command(program, "-addr", "127.0.0.1:0"))
	s.RPCWebsocket = "ws" + strings.TrimPrefix(s.RPC, "http") + "-ws"
	s.Features = goFeatures
	return s
}

func hasRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// startTypeScript starts the server of @orpc/server.
func startTypeScript(t *testing.T) server {
	t.Helper()
	s := start(t, exec.Command(tool(t, "node"), "server.mjs"))
	s.Features = typeScriptFeatures
	return s
}

// start runs a server until the test has ended. When it is ready it prints its
// addresses, and nothing else after that; on SIGTERM it ends with status 0.
func start(t *testing.T, cmd *exec.Cmd) server {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := func() { _ = cmd.Process.Kill() } // fails if it has ended
	late := time.AfterFunc(30*time.Second, kill)
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	late.Stop()

	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended, which Wait reports
		late := time.AfterFunc(20*time.Second, kill)
		defer late.Stop()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", cmd, err, stderr.String())
		}
	})
	require.NoError(t, readErr, "the server does not get ready")
	var s server
	require.NoError(t, json.Unmarshal(line, &s))
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
	// A script that ends early, or has no checks, proves nothing.
	require.Regexp(t, `(?:^|\n)[1-9][0-9]* passed, 0 failed\n$`, string(out))
}
