//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The recorded session of streams over a socket, frame by frame, at its times. The
// original's methods stand behind "call".
func TestRecordedStreamsOfASocket(t *testing.T) {
	t.Parallel()
	var session struct {
		Entries []struct {
			Kind, Dir, Text string
			T               int
		}
	}
	vectors(t, "session-rpc-iterator.json", &session)
	synctest.Test(t, func(t *testing.T) {
		methods := rpc.NewRouter(rpc.DefineEvents[countInput, countEvent, countResult]("toolbox.count").Handler(runCount))
		p, box := newServer(t, transport.ServerPeerOptions{Handle: func(ctx context.Context, call *rpc.Call) (any, error) {
			var in struct {
				Path  []string    `json:"path"`
				Input value.Value `json:"input"`
			}
			if err := call.Input.(value.Value).Decode(&in); err != nil {
				return nil, err
			}
			call.Path, call.Input = in.Path, in.Input
			return methods.Serve(ctx, call)
		}})
		var sent []string
		start, frames := time.Now(), 0
		for _, e := range session.Entries {
			if e.Kind != "ws-frame" || strings.Contains(e.Text, `"i":"1"`) { // the subscription
				continue
			}
			if e.Dir == "c2s" {
				time.Sleep(time.Until(start.Add(time.Duration(e.T) * time.Millisecond)))
				receive(t, p, e.Text)
				sent = append(sent, box.take()...)
				continue
			}
			for len(sent) == 0 {
				time.Sleep(10 * time.Millisecond)
				sent = append(sent, box.take()...)
			}
			require.Equal(t, e.Text, sent[0])
			sent, frames = sent[1:], frames+1
		}
		require.Equal(t, 11, frames)
		time.Sleep(time.Minute)
		require.Empty(t, append(sent, box.take()...), "PE-039: nothing follows an abort")
	})
}

// PE-038, PE-045, PE-086: the messages that a server peer sends for streams.
func TestServerPeerSendsEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ request, events string }{
		"to the end":   {`{"i":7,"p":{"u":"/count","b":{"json":{"to":1}}}}`, `{"i":7,"t":3,"p":{"e":"message","d":{"json":{"n":1}},"m":{"id":"n-1","retry":1234}}} {"i":7,"t":3,"p":{"e":"done","d":{"json":{"total":1}}}}`},
		"void":         {`{"i":7,"p":{"u":"/void"}}`, `{"i":7,"t":3,"p":{"e":"message","d":{}}} {"i":7,"t":3,"p":{"e":"done","d":{}}}`},
		"hidden error": {`{"i":7,"p":{"u":"/broken"}}`, `{"i":7,"t":3,"p":{"e":"error","d":{"json":{"defined":false,"code":"INTERNAL_SERVER_ERROR","status":500,"message":"Internal server error"}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: routed(rpc.NewRouter(
					count.Handler(runCount),
					rpc.DefineEvents[rpc.Void, rpc.Void, rpc.Void]("void").Handler(
						func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[rpc.Void]) (rpc.Void, error) {
							return rpc.Void{}, w.Send(rpc.Void{})
						}),
					rpc.DefineEvents[rpc.Void, rpc.Void, rpc.Void]("broken").Handler(
						func(context.Context, rpc.Void, *rpc.EventWriter[rpc.Void]) (rpc.Void, error) {
							return rpc.Void{}, errors.New("a secret")
						}),
				))})
				for range 2 { // the id is free again
					receive(t, p, test.request)
					require.Equal(t, `{"i":7,"p":{"h":{"content-type":"text/event-stream"}}} `+test.events, strings.Join(box.take(), " "))
				}
			})
		})
	}
}

// PE-045: a socket that is gone ends the handler, and frees the id.
func TestServerPeerCannotSendEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		ended := make(chan error, 1)
		sends := 0
		p, _ := newServer(t, transport.ServerPeerOptions{
			Handle: routed(rpc.NewRouter(foreverRoute(ended))),
			Send: func(context.Context, []byte, bool) error {
				if sends++; sends > 2 {
					return broken
				}
				return nil
			},
		})
		for range 2 {
			sends = 0
			receive(t, p, `{"i":"1","p":{"u":"/forever"}}`)
			require.ErrorIs(t, <-ended, broken)
			synctest.Wait()
		}
	})
}

// Every message of a stream is sent with the context of its call.
func TestServerPeerSendsEventsWithTheContextOfTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sends := make(chan bool, 10)
		p, _ := newServer(t, transport.ServerPeerOptions{
			Handle:   routed(rpc.NewRouter(count.Handler(runCount))),
			NewState: func() any { return true },
			Send: func(ctx context.Context, _ []byte, _ bool) error {
				sends <- stateOf(ctx) == true
				return nil
			},
		})
		receive(t, p, `{"i":"1","p":{"u":"/count","b":{"json":{"to":2}}}}`)
		for range 4 {
			require.True(t, <-sends)
		}
	})
}

// openNumbers opens a stream on a client peer, whose answers the test makes.
func openNumbers(t *testing.T) (*transport.ClientPeer, *outbox, *rpc.Events[int, int]) {
	t.Helper()
	p, box := newClient(t, transport.ClientPeerOptions{})
	opened := make(chan *rpc.Events[int, int], 1)
	go func() {
		events, err := numbers.Call(t.Context(), p, rpc.Void{}, rpc.WithLastEventID("0"))
		if err != nil {
			t.Error(err)
		}
		opened <- events
	}()
	require.Equal(t, []string{`{"i":"1","p":{"u":"/numbers","b":{},"h":{"last-event-id":"0"}}}`}, box.take())
	receive(t, p, `{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}`)
	return p, box, <-opened
}

// PE-014, PE-081, and cases that the protocol leaves open.
func TestClientPeerReadsEvents(t *testing.T) {
	t.Parallel()
	const first = `{"i":"1","t":3,"p":{"e":"message","d":{"json":1},"m":{"id":"a","retry":5,"comments":["c"]}}}`
	for name, test := range map[string]struct {
		frames string
		code   rpc.Code
		err    string
		result int
	}{
		"to the end":            {frames: `{"i":"1","t":3,"p":{"e":"done","d":{"json":4}}}`, result: 4},
		"an error":              {frames: `{"i":"1","t":3,"p":{"e":"error","d":{"json":{"defined":true,"code":"X","status":460,"message":"x"}}}}`, code: "X", err: "X"},
		"an error without data": {frames: `{"i":"1","t":3,"p":{"e":"error"}}`, code: rpc.CodeInternalServerError, err: "rpc: the stream of events has failed"},
		"an error of its own":   {frames: `{"i":"1","t":3,"p":{"e":"error","d":{"json":"oops"}}}`, code: rpc.CodeInternalServerError, err: "rpc: the stream of events has failed"},
		"an unknown kind":       {frames: `{"i":"1","t":3,"p":{"e":"ping"}} {"i":"1","t":3,"p":{"e":"done","d":{"json":4}}}`, result: 4},
		"bad data":              {frames: `{"i":"1","t":3,"p":{"e":"message","d":{"json":"x","meta":[[1,"y"]]}}}`, code: rpc.CodeInternalServerError, err: "rpc: decode event: "},
		"bad frame":             {frames: `{"i":"1","t":3,"p":{"e":1}}`, code: rpc.CodeInternalServerError, err: "rpc: call numbers: decode: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box, events := openNumbers(t)
				receive(t, p, first)
				for frame := range strings.SplitSeq(test.frames, " ") {
					_ = p.Receive([]byte(frame), false) // tells of the bad frame
				}
				all, err := readAll(events)
				require.Equal(t, []rpc.Event[int]{{Data: 1, Meta: rpc.EventMeta{ID: "a", Retry: 5 * time.Millisecond, Comments: []string{"c"}}}}, all)
				require.Equal(t, test.code, rpc.CodeOf(err))
				if test.err != "" {
					require.ErrorContains(t, err, test.err)
				}
				result, _ := events.Result()
				require.Equal(t, test.result, result)
				aborted := []string{`{"i":"1","t":4}`}
				if strings.HasPrefix(name, "bad") {
					require.Equal(t, aborted, box.take(), "the server is notified")
				} else {
					require.Empty(t, box.take())
				}
			})
		})
	}
}

// PE-015: closing sends one abort, and later reads return the end.
func TestClientPeerAbortsEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box, events := openNumbers(t)
		receive(t, p, `{"i":"1","t":3,"p":{"e":"message","d":{"json":1}}}`)
		require.NoError(t, events.Close())
		require.Equal(t, []string{`{"i":"1","t":4}`}, box.take())
		all, err := readAll(events)
		require.NoError(t, err)
		require.Empty(t, all)
		receive(t, p, `{"i":"1","t":3,"p":{"e":"done"}}`)
		require.NoError(t, events.Close())
		require.Empty(t, box.take(), "once")
	})
}

// A stream that is read too slowly fails at a limit, and does not affect the others.
func TestEventsOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box, events := openNumbers(t)
		for n := range 2000 {
			receive(t, p, fmt.Sprintf(`{"i":"1","t":3,"p":{"e":"message","d":{"json":%d}}}`, n))
		}
		require.Equal(t, []string{`{"i":"1","t":4}`}, box.take(), "the server is notified")
		all, err := readAll(events)
		require.Len(t, all, 1024)
		require.ErrorIs(t, err, rpc.ErrOverflow)
		answer := start(t.Context(), p, pingCall())
		box.take()
		receive(t, p, `{"i":"2","p":{"b":{"json":"pong"}}}`)
		require.Equal(t, "pong", (<-answer).out)
	})
}

// PE-019, PE-082: a waiting read fails with the socket.
func TestEventsLoseTheirSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, events := openNumbers(t)
		receive(t, p, `{"i":"1","t":3,"p":{"e":"message","d":{"json":1}}}`)
		cause := errors.New("cut")
		time.AfterFunc(time.Second, func() { p.Disconnect(cause) })
		all, err := readAll(events)
		require.Equal(t, []int{1}, data(all))
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.ErrorIs(t, err, cause)
	})
}

// Over a WebSocket, a server whose client does not read holds back the handler.
func TestSlowSocketsHoldUpHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		big := rpc.DefineEvents[rpc.Void, string, rpc.Void]("big")
		client := hostRouter(t, rpc.NewRouter(big.Handler(
			func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[string]) (rpc.Void, error) {
				for {
					if err := w.Send(strings.Repeat("x", 10_000)); err != nil {
						return rpc.Void{}, err
					}
					sent++
				}
			})), nil)
		conn := dialRaw(t, client)
		require.NoError(t, conn.Write(t.Context(), coder.MessageText, []byte(`{"i":"1","p":{"u":"/big"}}`)))
		synctest.Wait()
		require.Less(t, sent, 500, "a few megabytes at most")
		for before := sent; sent == before; {
			_, _, err := conn.Read(t.Context())
			require.NoError(t, err)
			synctest.Wait()
		}
		require.Less(t, sent, 500)
	})
}
