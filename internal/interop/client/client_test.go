package main

import (
	"bufio"
	"bytes"
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

// The server of this library passes all checks.
func TestServer(t *testing.T) {
	t.Parallel()
	at := startServer(t)
	var out strings.Builder
	err := run(t.Context(), &out, []string{at.rpc, at.chat, "-extensions"})
	require.NoError(t, err, "%s", &out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, len(allChecks())+1, "%s", &out)
	require.Regexp(t, `^[1-9][0-9]+ passed, 0 failed$`, lines[len(lines)-1])
}

// startServer runs the interop server until the test has ended. It looks for data
// races if this test does.
func startServer(t *testing.T) target {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		build.Args = append(build.Args, "-race")
	}
	build.Args = append(build.Args, "../server")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	server := exec.Command(program, "-addr", "127.0.0.1:0")
	var stderr bytes.Buffer
	server.Stderr = &stderr
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	kill := func() { _ = server.Process.Kill() } // fails if it has ended
	late := time.AfterFunc(30*time.Second, kill)
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	late.Stop()

	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM) // fails if it has ended, which Wait reports
		late := time.AfterFunc(20*time.Second, kill)
		defer late.Stop()
		if err := server.Wait(); err != nil || t.Failed() {
			t.Errorf("server: %v\n%s", err, stderr.String())
		}
	})
	require.NoError(t, readErr, "the server does not get ready")
	var at struct{ RPC, Chat string }
	require.NoError(t, json.Unmarshal(line, &at))
	return target{rpc: at.RPC, chat: at.Chat}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	// Nobody can listen on port 0.
	err := run(t.Context(), &out, []string{"-only", "nested", "http://127.0.0.1:0/rpc", "ws://127.0.0.1:0/chat"})
	require.ErrorIs(t, err, errFailed)
	require.Regexp(t, `(?m)^FAIL  http: nested procedure: .`, out.String())
	require.Regexp(t, `\n0 passed, 2 failed\n$`, out.String())
}

func TestArguments(t *testing.T) {
	t.Parallel()
	at := target{rpc: "http://a/rpc", chat: "ws://a/chat"}
	for name, c := range map[string]struct {
		args []string
		want options
	}{
		"addresses alone": {[]string{at.rpc, at.chat}, options{target: at}},
		"flags behind":    {[]string{at.rpc, at.chat, "-only", "x", "-extensions"}, options{at, "x", true}},
		"flags before":    {[]string{"-extensions", "-only=x", at.rpc, at.chat}, options{at, "x", true}},
		"flags between":   {[]string{at.rpc, "-only", "x", at.chat}, options{at, "x", false}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(c.args)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for name, args := range map[string][]string{
		"nothing":         nil,
		"one address":     {at.rpc},
		"three addresses": {at.rpc, at.chat, at.chat},
		"unknown flag":    {at.rpc, at.chat, "-nothing"},
		"no text":         {at.rpc, at.chat, "-only"},
		"wrong scheme":    {at.chat, at.rpc},
		"no address":      {"rpc", "chat"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.ErrorIs(t, run(t.Context(), &out, args), errUsage)
			require.Empty(t, out.String())
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range allChecks() {
		require.False(t, seen[c.name], c.name)
		seen[c.name] = true
	}
}
