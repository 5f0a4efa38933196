package node_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// runner starts a client. It ends with the test.
type runner func(t *testing.T, h *hall, c programConfig) *program

// Our clients, for Go compiled for browsers and for TypeScript, pass the tests with the
// WebSocket of Node.
func TestClientsOfHalls(t *testing.T) {
	t.Parallel()
	install(t)
	w := buildWASM(t)
	for name, run := range map[string]runner{"js/wasm": w.underNode, "TypeScript": script} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testHalls(t, run)
		})
	}
}

// testHalls runs a client with servers that fail in different ways.
func testHalls(t *testing.T, run runner) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T){
		"resumes after cuts": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			for n := range 20 {
				h.publish(n)
				p.expect("event " + strconv.Itoa(n))
				if n%5 == 2 {
					h.cut()
				}
			}
			p.stop()
			p.hasNo(t, "gap")
		},
		"resumes on another process": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			for n := range 10 {
				h.publish(n)
				h.restart()
			}
			p.expect("event 0", "event 1", "event 2", "event 8", "event 9")
			p.stop()
			p.hasNo(t, "gap")
		},
		"an expired token is replaced": func(t *testing.T) {
			h := newHall(t, 2*time.Second)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong", "state waiting", "state live")
			h.publish(1)
			p.expect("event 1")
			p.stop()
		},
		"a token of an old key is replaced": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			h.change(func() { h.key = "another key" })
			h.cut()
			p.expect("Invalid Token", "state live")
			h.publish(1)
			p.expect("event 1")
			p.stop()
		},
		"a refusal has its status": func(t *testing.T) {
			h := newHall(t, time.Hour)
			h.change(func() { h.refuses = true })
			p := run(t, h, programConfig{})
			p.expect("error", "403", "Not yours", "end")
			require.Equal(t, 1, h.asked())
		},
		"a refusal is final": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			h.change(func() { h.refuses = true })
			h.cut()
			p.expect("error", "403", "Not yours", "end")
			require.Equal(t, 2, h.asked())
		},
		"a forger is refused": func(t *testing.T) {
			h := newHall(t, time.Hour)
			h.change(func() { h.key, h.verifier = "a key", token.Secret("another key") })
			p := run(t, h, programConfig{})
			p.expect("error", "refused", "end")
			require.Equal(t, 2, h.asked())
		},
		"a silent server is lost": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{Ping: 300 * time.Millisecond})
			p.expect("state live", "pong")
			h.stall()
			p.expect("state waiting", "state live")
			h.publish(1)
			p.expect("event 1")
			p.stop()
		},
		"a quiet server is not": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{Ping: 100 * time.Millisecond})
			p.expect("state live", "pong")
			h.await(readings, 2) // of requests for an answer
			h.publish(1)
			p.expect("event 1")
			p.stop()
			p.hasNo(t, "state waiting")
		},
		"a server with a heartbeat is not asked": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{Ping: 12600 * time.Millisecond}) // the client then requests a heartbeat after 10 s
			p.expect("state live", "pong")
			reads := h.count(readings)
			h.await(writings, 2)
			require.Equal(t, reads, h.count(readings))
			h.publish(1)
			p.expect("event 1")
			p.stop()
			p.hasNo(t, "state waiting")
		},
		"the token in the address": func(t *testing.T) {
			h := newHall(t, 2*time.Second)
			p := run(t, h, programConfig{Place: client.TokenInURL})
			p.expect("state live", "pong", "state waiting", "state live")
			h.change(func() { h.key = "another key" })
			h.cut() // the next refusal cannot be seen
			p.expect("state waiting", "state live")
			p.stop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
	testPages(t, run)
}
