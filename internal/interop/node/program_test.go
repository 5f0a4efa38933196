package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
)

// wasmConfig is what the program is to do. It has the same.
type wasmConfig struct {
	Socket, Token string // addresses
	Place         client.TokenPlace
	Ping          time.Duration
}

func (c wasmConfig) of(h *hall) string {
	c.Socket, c.Token = h.URL+"/socket", h.URL+"/token"
	text, err := json.Marshal(c)
	require.NoError(h.t, err)
	return string(text)
}

// program is a client that runs, and what it has printed.
type program struct {
	hall  *hall
	place client.TokenPlace
	lines chan string

	mu   sync.Mutex
	text strings.Builder
}

func newProgram(t *testing.T, h *hall, c wasmConfig) *program {
	t.Helper()
	p := &program{hall: h, place: c.Place, lines: make(chan string, 1<<12)}
	t.Cleanup(func() { p.isDiscreet(t) })
	return p
}

// print adds a line.
func (p *program) print(line string) {
	p.mu.Lock()
	p.text.WriteString(line + "\n")
	p.mu.Unlock()
	p.lines <- line
}

func (p *program) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// expect waits for lines that contain these texts, in this order. A line may have several
// of them.
func (p *program) expect(texts ...string) {
	p.hall.t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for len(texts) > 0 {
		select {
		case line, running := <-p.lines:
			require.True(p.hall.t, running, "%q is missing:\n%s", texts, p.printed())
			for len(texts) > 0 && strings.Contains(line, texts[0]) {
				texts = texts[1:]
			}
		case <-late.C:
			require.Fail(p.hall.t, "nothing happens", "%q is missing:\n%s", texts, p.printed())
		}
	}
}

func (p *program) hasNo(t *testing.T, text string) {
	t.Helper()
	require.NotContains(t, p.printed(), text)
}

// stop ends the program, and waits for that.
func (p *program) stop() {
	p.hall.t.Helper()
	p.hall.publish(-1)
	p.expect("end")
}

// isDiscreet checks that no token stands in what was printed, nor, in the subprotocol, in
// an address.
func (p *program) isDiscreet(t *testing.T) {
	t.Helper()
	p.hall.change(func() {
		require.NotEmpty(t, p.hall.tokens)
		for _, tok := range p.hall.tokens {
			require.NotContains(t, p.printed(), tok[strings.LastIndexByte(tok, '.')+1:])
		}
		for _, query := range p.hall.queries {
			require.Equal(t, p.place == client.TokenInURL, strings.Contains(query, "token="), query)
		}
	})
}

// wasm is the program, compiled, and what Go has to run it.
type wasm struct{ binary, runtime string }

func buildWASM(t *testing.T) wasm {
	t.Helper()
	w := wasm{binary: filepath.Join(t.TempDir(), "program.wasm")}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", w.binary, "../wasm") //nolint:gosec // from here
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	w.runtime = filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm")
	return w
}

// underNode runs the program under Node.
func (w wasm) underNode(t *testing.T, h *hall, c wasmConfig) *program {
	t.Helper()
	p := newProgram(t, h, c)
	args := []string{filepath.Join(w.runtime, "wasm_exec_node.js"), w.binary, c.of(h)}
	node := tool(t, "node")
	if exec.CommandContext(t.Context(), node, "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => {}").Run() != nil { //nolint:gosec // Node
		args = append([]string{"--experimental-websocket", "--no-warnings"}, args...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, args...) //nolint:gosec // Node
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.print(lines.Text())
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = cmd.Wait() // it was killed, or has ended
	})
	return p
}
