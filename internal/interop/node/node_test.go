package node_test

import (
	"testing"

	"github.com/go-orpc/durable-iterator/rpc"
)

// The features of a server besides procedures with JSON bodies. Their checks are run only
// where they are listed.
var (
	goFeatures         = []string{"events", "files", "inputs", "socket inputs"}
	typeScriptFeatures = []string{"events", "files", "inputs"} // see testInputs
)

func TestTypeScript(t *testing.T) {
	t.Parallel()
	install(t)
	ours, nodes, theirs := startGo(t), startGo(t, "-nodes", "2"), startTypeScript(t)
	for name, c := range map[string]struct {
		script string
		server server
	}{
		"RPC link over HTTP, Go server":                {"http.mjs", ours},
		"RPC link over HTTP, TypeScript server":        {"http.mjs", theirs},
		"batches, Go server":                           {"batch.mjs", ours},
		"batches, TypeScript server":                   {"batch.mjs", theirs},
		"RPC link over a WebSocket, Go server":         {"websocket.mjs", ours},
		"RPC link over a WebSocket, TypeScript server": {"websocket.mjs", theirs},
		"durable iterator, Go server":                  {"iterator.mjs", ours},
		"durable iterator, two nodes":                  {"iterator.mjs", nodes},
		"our client for TypeScript, Go server":         {"client.mjs", ours},
		"our client for TypeScript, two nodes":         {"client.mjs", nodes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, c.script, c.server)
		})
	}
	t.Run("Go link over HTTP, TypeScript server", func(t *testing.T) {
		t.Parallel()
		testLink(t, theirs.RPC)
	})
	for name, buffered := range map[string]bool{"streaming": false, "buffered": true} {
		t.Run("Go link with batches, TypeScript server, "+name, func(t *testing.T) {
			t.Parallel()
			testBatches(t, theirs.RPC, &rpc.BatchLinkPlugin{Buffered: buffered})
		})
	}
	t.Run("Go link over a WebSocket, TypeScript server", func(t *testing.T) {
		t.Parallel()
		testWebsocketLink(t, theirs.RPCWebsocket)
	})
}
