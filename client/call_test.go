//go:build !js

package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

var (
	methodM = rpc.Define[string, string]("m")
	inGroup = rpc.DefineIn[rpc.Void, string](rpc.Group("group"), "ping")
	anyM    = rpc.Define[any, any]("m")
)

// callInBackground calls a method and sends its output to the channel, or its error as "!"
// and its text.
func callInBackground(t *testing.T, it *client.Iterator[string], path string, opts ...rpc.CallOption) <-chan string {
	answered := make(chan string, 1)
	go func() {
		out, err := rpc.Define[string, string](path).Call(t.Context(), it, "in", opts...)
		if err != nil {
			out = "!" + err.Error()
		}
		answered <- out
	}()
	return answered
}

func TestCall(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := callInBackground(t, it, "group.echo")
		f := s.next()
		require.Equal(t, `{"i":"2","p":{"u":"/call","b":{"json":{"path":["group","echo"],"input":"in"}}}}`, f.text)
		s.reply(f, `{"json":"out"}`)
		require.Equal(t, "out", <-answered)
	})
}

func TestCallInputs(t *testing.T) {
	const absent = `{"json":{"path":["m"],"input":null},"meta":[[3,"input"]]}`
	cases := map[string]struct {
		input any
		want  string
	}{
		"void":                 {rpc.Void{}, absent},
		"undefined":            {value.Undefined{}, absent},
		"an undefined value":   {value.Value{}, absent},
		"null":                 {nil, `{"json":{"path":["m"],"input":null}}`},
		"a date inside":        {map[string]any{"at": time.Unix(0, 0)}, `{"json":{"path":["m"],"input":{"at":"1970-01-01T00:00:00.000Z"}},"meta":[[1,"input","at"]]}`},
		"undefined in a list":  {[]any{value.Undefined{}}, `{"json":{"path":["m"],"input":[null]},"meta":[[3,"input",0]]}`},
		"undefined as a field": {map[string]any{"a": value.Undefined{}}, `{"json":{"path":["m"],"input":{}}}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := h.live(h.options())
				go func() { _, _ = anyM.Call(t.Context(), it, c.input) }()
				require.JSONEq(t, c.want, string(s.next().Payload.Body))
			})
		})
	}
}

func TestCallErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := make(chan error, 1)
		go func() {
			_, err := inGroup.Call(t.Context(), it, rpc.Void{})
			answered <- err
		}()
		s.fail(s.next(), 409, "CONFLICT")
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(<-answered))
	})
}

func TestCallsThatTheTokenDoesNotAllow(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"other", "m"}})
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		require.EqualError(t, err, `FORBIDDEN: Method "other.m" is not allowed by the token.`)
		_, err = it.Call(t.Context(), &rpc.Call{})
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		require.True(t, s.quiet())
	})
}

func TestCallsWaitForAConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.drop()
		synctest.Wait()
		answered := callInBackground(t, it, "m")
		s = h.accept()
		s.expectSubscribe("e-0")
		require.True(t, s.quiet(), "the events of the call shall not be missed")
		s.open("complete", "")
		s.reply(s.next(), `{"json":"out"}`)
		require.Equal(t, "out", <-answered)
	})
}

func TestCallsWaitNoLongerThanTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		h.refuse(500)
		s.drop()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := methodM.Call(ctx, it, "in")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(h.start))
	})
}

func TestCallsInFlightFailWithTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := make(chan error, 1)
		go func() {
			_, err := methodM.Call(t.Context(), it, "in")
			answered <- err
		}()
		s.next()
		s.drop()
		require.ErrorIs(t, <-answered, rpc.ErrDisconnected)
	})
}

func TestCallsAreRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := callInBackground(t, it, "m", rpc.WithRetry(1))
		s.next()
		s.drop()
		s = h.accept()
		s.expectSubscribe("e-0").open("complete", "")
		f := s.next()
		require.Equal(t, `"4"`, string(f.ID), "ids run on over connections")
		s.reply(f, `{"json":"out"}`)
		require.Equal(t, "out", <-answered)
	})
}

// A call on an iterator that is closed is not repeated, whether it waits, runs or pauses.
func TestCallsAreNotRepeatedAfterClose(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		running := callInBackground(t, it, "m", rpc.WithRetry(rpc.Unlimited))
		s.next()
		require.NoError(t, it.Close())
		require.Contains(t, <-running, client.ErrClosed.Error())
		_, err := methodM.Call(t.Context(), it, "in", rpc.WithRetry(rpc.Unlimited))
		require.ErrorIs(t, err, client.ErrClosed)
	})
}

// A call that is too large for the server breaks a second connection, and not every next one.
func TestCallsThatBreakConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := callInBackground(t, it, "m", rpc.WithRetry(rpc.Unlimited))
		s.next()
		s.close(websocket.StatusMessageTooBig, "")
		s = h.accept()
		s.expectSubscribe("e-0").open("complete", "")
		s.next()
		s.close(websocket.StatusMessageTooBig, "")
		require.Contains(t, <-answered, "StatusMessageTooBig")
		h.accept().expectSubscribe("e-0").open("complete", "")
	})
}

func TestCallsAreCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, err := methodM.Call(ctx, it, "in")
			answered <- err
		}()
		f := s.next()
		cancel()
		require.ErrorIs(t, <-answered, context.Canceled)
		abort := s.next()
		require.Equal(t, 4, abort.Type)
		require.Equal(t, string(f.ID), string(abort.ID))
		require.Equal(t, client.StateLive, it.State(), "the connection is not touched")
	})
}

func TestCallsInFlightFailWithClose(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		answered := make(chan error, 1)
		go func() {
			_, err := methodM.Call(t.Context(), it, "in")
			answered <- err
		}()
		s.next()
		require.NoError(t, it.Close())
		require.ErrorIs(t, <-answered, client.ErrClosed)
	})
}

func TestInterceptorsAndSerializersOfCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		type person struct{ Name string }
		var paths [][]string
		o := h.options()
		o.Serializers = []value.Serializer{value.JSONSerializer(20,
			func(p person) (any, error) { return p.Name, nil },
			func(v any) (person, error) {
				name, ok := v.(string)
				if !ok {
					return person{}, errors.New("no name")
				}
				return person{name}, nil
			})}
		o.Interceptors = []rpc.Interceptor{rpc.OnStart(func(_ context.Context, call *rpc.Call) {
			paths = append(paths, call.Path)
			call.Header.Set("X-Trace", "1")
		})}
		it, s := h.live(o)
		done := make(chan person, 1)
		go func() {
			out, _ := rpc.Define[person, person]("m").Call(t.Context(), it, person{"Ada"})
			done <- out
		}()
		f := s.next()
		require.JSONEq(t, `{"json":{"path":["m"],"input":"Ada"},"meta":[[20,"input"]]}`, string(f.Payload.Body))
		require.Equal(t, "1", f.Payload.Header["x-trace"])
		s.reply(f, `{"json":"Bob","meta":[[20]]}`)
		require.Equal(t, person{"Bob"}, <-done)
		require.Equal(t, [][]string{{"m"}}, paths, "subscriptions are not calls")
	})
}

func TestCallsOfManyAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		var answers []<-chan string
		for range 50 {
			answers = append(answers, callInBackground(t, it, "m"))
		}
		var frames []frame
		for range 50 {
			frames = append(frames, s.next())
		}
		for _, f := range slices.Backward(frames) {
			s.reply(f, `{"json":`+string(f.ID)+`}`)
		}
		seen := map[string]bool{}
		for _, answered := range answers {
			seen[<-answered] = true
		}
		require.Len(t, seen, 50)
	})
}
