package node_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wasm has the client for Go as a program for browsers, and Go's script that runs it.
type wasm struct{ binary, runtime string }

func buildWASM(t *testing.T) wasm {
	t.Helper()
	w := wasm{binary: filepath.Join(t.TempDir(), "program.wasm")}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", w.binary, "../wasm")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	w.runtime = filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm")
	return w
}

// underNode runs the program under Node. Before Node 22, WebSocket is enabled by a flag.
func (w wasm) underNode(t *testing.T, h *hall, c programConfig) *program {
	t.Helper()
	args := []string{filepath.Join(w.runtime, "wasm_exec_node.js"), w.binary}
	if exec.CommandContext(t.Context(), tool(t, "node"), "-e", "WebSocket").Run() != nil {
		args = append([]string{"--experimental-websocket", "--no-warnings"}, args...)
	}
	p := newProgram(t, h, c)
	p.start(t, c, args...)
	return p
}
