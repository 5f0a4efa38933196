package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/internal/interop/launch"
)

// The server of this library passes all checks, even if each request and each socket
// reaches another node.
func TestServer(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{
		"one node":                      nil,
		"two nodes behind a balancer":   {"-nodes", "2"},
		"three nodes behind a balancer": {"-nodes", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := startServer(t, arguments...)
			var out strings.Builder
			err := run(t.Context(), &out, []string{at.rpc, at.chat, "-extensions"})
			require.NoError(t, err, "%s", &out)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Len(t, lines, len(allChecks())+1, "%s", &out)
			require.Regexp(t, `^[1-9][0-9]+ passed, 0 failed$`, lines[len(lines)-1])
		})
	}
}

// A server that has run for longer than its retention passes them too: events have expired,
// and the log has forgotten their channels.
func TestServerOlderThanItsRetention(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var old eventlog.Position
	synctest.Test(t, func(t *testing.T) { // where it is the year 2000
		log, err := filelog.Open(dir, &filelog.Options{Retention: time.Minute})
		require.NoError(t, err)
		for i := range 100 {
			r := &eventlog.Record{Data: []byte(`{"json":{"message":"old"}}`)}
			require.NoError(t, log.Append(t.Context(), []string{"some-room", "other"}[i%2], r, func(*eventlog.Record) {}))
			if i == 50 {
				old = r.Position()
			}
		}
		require.NoError(t, log.Close())
	})
	log, err := filelog.Open(dir, &filelog.Options{Retention: time.Minute})
	require.NoError(t, err)
	replay, err := log.After(t.Context(), "some-room", old)
	require.NoError(t, err)
	require.True(t, replay.Truncated)
	for rec, err := range replay.Records {
		require.Fail(t, "an event has not expired", "%v %v", rec, err)
	}
	require.NoError(t, log.Close())

	at := startServer(t, "-data", dir)
	var out strings.Builder
	err = run(t.Context(), &out, []string{at.rpc, at.chat, "-extensions"})
	require.NoError(t, err, "%s", &out)
	require.Regexp(t, `\n[1-9][0-9]+ passed, 0 failed\n$`, out.String())
}

// startServer runs the interop server until the test has ended.
func startServer(t *testing.T, arguments ...string) target {
	t.Helper()
	var at struct{ RPC, Chat string }
	launch.Go(t, "../server", &at, arguments...)
	return target{rpc: at.RPC, chat: at.Chat}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	// No server listens on port 0.
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
		"flags after":     {[]string{at.rpc, at.chat, "-only", "x", "-extensions"}, options{at, "x", true}},
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
		if c.weakness != "" {
			require.Contains(t, weaknesses, c.weakness, c.name)
		}
	}
}
