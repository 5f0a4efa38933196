package node_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// The client for Go, compiled for browsers, keeps its promises on the WebSocket of Node.
func TestWASM(t *testing.T) {
	t.Parallel()
	testWASM(t, buildWASM(t).underNode)
}

// testWASM runs the client, as run does, against a server that misbehaves in one way or
// another.
func testWASM(t *testing.T, run func(*testing.T, *hall, wasmConfig) *program) {
	t.Helper()
	inSubprotocol := wasmConfig{}
	for name, test := range map[string]func(t *testing.T){
		"resumes after cuts": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, inSubprotocol)
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
		"an expired token is replaced": func(t *testing.T) {
			h := newHall(t, 2*time.Second)
			p := run(t, h, inSubprotocol)
			p.expect("state live", "pong", "Token expired", "state live")
			h.publish(1)
			p.expect("event 1")
			p.stop()
		},
		"a token of an old key is replaced": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, inSubprotocol)
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
			h.refuses = true
			p := run(t, h, inSubprotocol)
			p.expect("error", "Not yours", "end")
			require.Equal(t, 1, h.asked())
		},
		"a forger is refused": func(t *testing.T) {
			h := newHall(t, time.Hour)
			h.key, h.verifier = "a key", token.Secret("another key")
			p := run(t, h, inSubprotocol)
			p.expect("error client: token refused", "end")
			require.Equal(t, 2, h.asked())
		},
		"a silent server is lost": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, wasmConfig{Ping: 300 * time.Millisecond})
			p.expect("state live", "pong")
			h.stall()
			p.expect("does not answer", "state live")
			h.publish(1)
			p.expect("event 1")
			p.stop()
		},
		"a quiet server is not": func(t *testing.T) {
			h := newHall(t, time.Hour)
			p := run(t, h, wasmConfig{Ping: 100 * time.Millisecond})
			p.expect("state live", "pong")
			h.awaitReads(10) // nearly all of them ask for a sign of life
			h.publish(1)
			p.expect("event 1")
			p.stop()
			p.hasNo(t, "state waiting")
		},
		"the token in the address": func(t *testing.T) {
			h := newHall(t, 2*time.Second)
			p := run(t, h, wasmConfig{Place: client.TokenInURL})
			p.expect("state live", "pong", "Token expired", "state live")
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
}
