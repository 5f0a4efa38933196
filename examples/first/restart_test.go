package first_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// address is the one in the code of README.md.
const address = "127.0.0.1:3000"

// The client of README.md outlives its server, which keeps events in memory.
func TestReadmeClientOutlivesTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // so that a fault does not block the test
	defer cancel()
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := free.Addr().String()
	server, client := build(ctx, t, at)
	require.NoError(t, free.Close())

	first := start(ctx, t, server)
	connect(ctx, t, at)
	listener := start(ctx, t, client)
	greet := func() { // others say hello when they have joined, which may be before the listener has
		t.Helper()
		for {
			other := start(ctx, t, client)
			said := listener.hears("hello", 3*time.Second)
			other.kill()
			if said {
				return
			}
		}
	}
	greet()
	first.kill()

	start(ctx, t, server)
	connect(ctx, t, at)
	require.True(t, listener.hears("client: events are missing: truncated", time.Minute))
	greet()
}

// build compiles the code of README.md, at another address.
func build(ctx context.Context, t *testing.T, at string) (server, client string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)\n```").FindAllSubmatch(readme, -1)
	dir := t.TempDir()
	replace := map[string]string{}
	for i, name := range []string{"chat/chat.go", "server/main.go", "client/main.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		code := string(blocks[i][1])
		head, rest, found := strings.Cut(string(source), code)
		require.True(t, found, "README.md has other code than %s", name)
		lifted := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		require.NoError(t, os.WriteFile(lifted, []byte(strings.ReplaceAll(head+code+rest, address, at)), 0o600))
		own, err := filepath.Abs(name)
		require.NoError(t, err)
		replace[own] = lifted
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	for _, name := range []string{"server", "client"} {
		output, err := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"),
			"-o", filepath.Join(dir, name), "./"+name).CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	return filepath.Join(dir, "server"), filepath.Join(dir, "client")
}

// connect waits until a server listens at the address.
func connect(ctx context.Context, t *testing.T, at string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

// program is a running program.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // closed when it has ended
}

func start(ctx context.Context, t *testing.T, file string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.CommandContext(ctx, file), lines: make(chan string, 1000)}
	p.cmd.Stderr = t.Output()
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// hears reports whether the program prints a line within the timeout. It must not exit.
func (p *program) hears(want string, timeout time.Duration) bool {
	p.t.Helper()
	late := time.After(timeout)
	for {
		select {
		case line, more := <-p.lines:
			require.True(p.t, more, "the program has ended")
			if line == want {
				return true
			}
		case <-late:
			return false
		}
	}
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
