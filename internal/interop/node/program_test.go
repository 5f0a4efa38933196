package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
)

// programConfig configures a program. The programs have the same type.
type programConfig struct {
	Socket, Token string // addresses
	Place         client.TokenPlace
	Ping          time.Duration
}

func (c programConfig) of(h *hall) string {
	c.Socket, c.Token = h.URL+"/socket", h.URL+"/token"
	text, err := json.Marshal(c)
	require.NoError(h.t, err)
	return string(text)
}

// program is a running client and its output.
type program struct {
	hall  *hall
	place client.TokenPlace
	lines chan string
	tell  func(event string) // sends an event of its page

	mu   sync.Mutex
	text strings.Builder
}

func newProgram(t *testing.T, h *hall, c programConfig) *program {
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

// expect waits for lines that contain these strings, in this order. A line may contain
// several of them.
func (p *program) expect(texts ...string) {
	p.hall.t.Helper()
	p.within(time.Minute, texts...)
}

func (p *program) within(d time.Duration, texts ...string) {
	p.hall.t.Helper()
	late := time.NewTimer(d)
	defer late.Stop()
	for len(texts) > 0 {
		select {
		case line, running := <-p.lines:
			require.True(p.hall.t, running, "%q is missing:\n%s", texts, p.printed())
			for len(texts) > 0 && strings.Contains(line, texts[0]) {
				texts = texts[1:]
			}
		case <-late.C:
			require.Fail(p.hall.t, "the output is incomplete", "%q is missing:\n%s", texts, p.printed())
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

// isDiscreet checks that no token is part of the output nor, if it is sent in the
// subprotocol, of an address.
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

// start runs a program under Node, with its configuration as the last argument.
func (p *program) start(t *testing.T, c programConfig, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args = append([]string{"--import", "./lib/page.mjs"}, args...)
	cmd := exec.CommandContext(ctx, tool(t, "node"), append(args, c.of(p.hall))...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	p.tell = func(event string) {
		_, err := io.WriteString(in, event+"\n")
		require.NoError(t, err)
	}
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
}

// script runs the client for TypeScript.
func script(t *testing.T, h *hall, c programConfig) *program {
	t.Helper()
	p := newProgram(t, h, c)
	p.start(t, c, "program.mjs")
	return p
}
