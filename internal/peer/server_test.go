package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// serverRig is a server and the other side of its socket.
type serverRig struct {
	*Server
	out    outbox
	panics []any
}

func newServerRig(t *testing.T, o ServerOptions) *serverRig {
	t.Helper()
	rig := new(serverRig)
	o.Send = rig.out.send
	o.Panic = func(_ *Request, v any) { rig.panics = append(rig.panics, v) }
	rig.Server = NewServer(t.Context(), o)
	t.Cleanup(func() {
		rig.Close()
		rig.Wait()
		require.Empty(t, rig.calls.list)
		require.Zero(t, rig.lanes[0].running)
		require.Zero(t, rig.streams)
		require.Zero(t, rig.bytes)
	})
	return rig
}

func (rig *serverRig) receive(t *testing.T, frames ...string) {
	t.Helper()
	for _, f := range frames {
		require.NoError(t, rig.Receive(textFrame(f)))
	}
	synctest.Wait()
}

// echo is a handler that answers with the body of the request.
func echo(_ context.Context, r *Request, c *Call) {
	_ = c.Respond(context.Background(), &Response{Body: r.Body}) // tests check the frames that were sent
}

// untilDone returns a handler that waits until its context ends and then answers, which
// must have no effect. It sends the cause and the error of the answer to causes.
func untilDone(causes chan<- error) func(context.Context, *Request, *Call) {
	return func(ctx context.Context, _ *Request, c *Call) {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		causes <- c.Respond(context.Background(), &Response{})
	}
}

var eventStream = &Response{Header: http.Header{"Content-Type": {"text/event-stream"}}}

func data(s string) *Event { return &Event{Kind: EventMessage, Data: json.RawMessage(s)} }

func TestServer(t *testing.T) {
	bubble(t, "PE-030 WS-006 a request is answered under its id", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: echo})
		rig.receive(t, `{"i":"1","p":{"u":"/a","b":"one"}}`)
		require.NoError(t, rig.Receive(Frame{Binary: true, Data: []byte(`{"i":"1","p":{"u":"/a","b":"again"}}`)}))
		require.Equal(t, []string{`{"i":"1","p":{"b":"one"}}`, `{"i":"1","p":{"b":"again"}}`}, rig.out.take())
	})
	bubble(t, "PE-031 ids are free", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: echo})
		for _, id := range []string{`"a b"`, `1`, `"1"`, `null`, `{"x":[1]}`, `"é"`} {
			rig.receive(t, `{"i":`+id+`,"p":{"u":"/a"}}`)
			require.Equal(t, []string{`{"i":` + id + `,"p":{}}`}, rig.out.take())
		}
		rig.receive(t, `{"p":{"u":"/a"}}`)
		require.Equal(t, []string{`{"p":{}}`}, rig.out.take())
		require.ErrorIs(t, rig.Receive(textFrame(fmt.Sprintf(`{"i":"%064d","p":{"u":"/a"}}`, 1))), ErrIDTooLong)
		require.Empty(t, rig.out.take())
	})
	bubble(t, "PE-031 requests run side by side", func(t *testing.T) {
		second := make(chan struct{})
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, r *Request, c *Call) {
			if string(c.ID()) == "1" {
				<-second
			}
			echo(ctx, r, c)
		}})
		rig.receive(t, `{"i":1,"p":{"u":"/a"}}`, `{"i":2,"p":{"u":"/a"}}`)
		require.Equal(t, []string{`{"i":2,"p":{}}`}, rig.out.take())
		close(second)
		require.Equal(t, []string{`{"i":1,"p":{}}`}, rig.out.take())
	})
	bubble(t, "PE-032 an abort ends the context and nothing more is sent", func(t *testing.T) {
		causes := make(chan error, 2)
		rig := newServerRig(t, ServerOptions{Handle: untilDone(causes)})
		rig.receive(t, request1, `{"i":"2","t":4}`, abort1, abort1)
		require.ErrorIs(t, <-causes, ErrAborted)
		require.ErrorIs(t, <-causes, ErrAborted)
		require.Empty(t, rig.out.take())
	})
	bubble(t, "PE-035 PE-042 files in both directions", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: func(_ context.Context, r *Request, c *Call) {
			_ = c.Respond(context.Background(), &Response{Header: r.Header, Body: r.Body})
		}})
		require.NoError(t, rig.Receive(Frame{Binary: true, Data: []byte(`{"i":"1","p":{"u":"/a","h":{"content-disposition":"inline"}}}` + "\xffabc")}))
		require.Equal(t, []string{`{"i":"1","p":{"h":{"content-disposition":"inline"}}}` + "\xffabc"}, rig.out.take())
	})
	bubble(t, "PE-036 a second request with an id in use is ignored", func(t *testing.T) {
		causes := make(chan error, 2)
		rig := newServerRig(t, ServerOptions{Handle: untilDone(causes)})
		rig.receive(t, request1, request1, request1)
		require.Equal(t, 1, rig.lanes[0].running)
		rig.receive(t, abort1)
		require.Len(t, causes, 2)
	})
	bubble(t, "PE-037 a panic sends nothing, is reported, and frees the id", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, r *Request, c *Call) {
			if r.Body.JSON == nil {
				c.Hold()
				panic("boom")
			}
			echo(ctx, r, c)
		}})
		rig.receive(t, request1)
		require.Equal(t, []any{"boom"}, rig.panics)
		require.Empty(t, rig.out.take())
		rig.receive(t, `{"i":"1","p":{"u":"/a","b":1}}`)
		require.Equal(t, []string{`{"i":"1","p":{"b":1}}`}, rig.out.take())
	})
	bubble(t, "PE-046 WS-007 closing ends all contexts and nothing more is sent", func(t *testing.T) {
		causes := make(chan error, 4)
		rig := newServerRig(t, ServerOptions{Handle: untilDone(causes)})
		rig.receive(t, request1, request2)
		rig.Close()
		rig.Wait()
		for range 4 {
			require.ErrorIs(t, <-causes, ErrClosed)
		}
		require.ErrorIs(t, rig.Receive(textFrame(request1)), ErrClosed)
		require.ErrorIs(t, rig.Receive(textFrame(`{"i":"1"}`)), ErrClosed)
		require.Empty(t, rig.out.take())
	})
	bubble(t, "WS-008 W37 a request that cannot be read is answered, other frames are not", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{
			Handle: func(_ context.Context, _ *Request, c *Call) { c.Hold() },
			BadRequest: func(_ context.Context, err *DecodeError) *Response {
				return &Response{Status: 400, Body: Body{JSON: json.RawMessage(err.ID)}}
			},
		})
		rig.receive(t, `{"i":"7","p":{"u":"relative"}}`)
		require.Equal(t, []string{`{"i":"7","p":{"s":400,"b":"7"}}`}, rig.out.take())
		rig.receive(t, `{"i":"7","p":{"u":"/a","b":{"json":`+nested(2001)+`}}}`)
		require.Equal(t, []string{`{"i":"7","p":{"s":400,"b":"7"}}`}, rig.out.take())

		rig.receive(t, `{"i":"8","p":{"u":"/a"}}`)
		for name, f := range map[string]string{
			"no JSON": `hello`, "no id": `{"p":{}}`, "event": `{"i":"9","t":3}`, "id in use": `{"i":"8","p":{}}`,
		} {
			var bad *DecodeError
			require.ErrorAs(t, rig.Receive(textFrame(f)), &bad, name)
		}
		require.Empty(t, rig.out.take())
	})
	bubble(t, "W28 requests beyond the limit wait, and run in order", func(t *testing.T) {
		causes := make(chan error, 8)
		rig := newServerRig(t, ServerOptions{Handle: untilDone(causes), MaxCalls: 2})
		rig.receive(t, `{"i":1,"p":{"u":"/a"}}`, `{"i":2,"p":{"u":"/a"}}`, `{"i":3,"p":{"u":"/a"}}`, `{"i":4,"p":{"u":"/a"}}`)
		require.Equal(t, 2, rig.lanes[0].running)
		require.Len(t, rig.lanes[0].calls, 2)
		rig.receive(t, `{"i":1,"t":4}`)
		require.Equal(t, 2, rig.lanes[0].running)
		require.Len(t, rig.lanes[0].calls, 1)
		require.Equal(t, "4", string(rig.lanes[0].calls[0].id))
		require.Empty(t, rig.out.take(), "none is refused")
	})
	bubble(t, "an abort takes out a request that waits", func(t *testing.T) {
		var ran []string
		leave := make(chan struct{})
		rig := newServerRig(t, ServerOptions{MaxCalls: 1, Handle: func(_ context.Context, r *Request, _ *Call) {
			ran = append(ran, r.URL.Path)
			<-leave
		}})
		rig.receive(t, `{"i":1,"p":{"u":"/a"}}`, `{"i":2,"p":{"u":"/b"}}`, `{"i":3,"p":{"u":"/c"}}`, `{"i":2,"t":4}`)
		rig.receive(t, `{"i":2,"p":{"u":"/d"}}`)
		close(leave)
		synctest.Wait()
		require.Equal(t, []string{"/a", "/c", "/d"}, ran)
	})
	bubble(t, "W28 an aborted handler keeps its slot until it returns", func(t *testing.T) {
		leave := make(chan struct{})
		rig := newServerRig(t, ServerOptions{MaxCalls: 1, Handle: func(context.Context, *Request, *Call) { <-leave }})
		rig.receive(t, request1, abort1, request1)
		require.Len(t, rig.lanes[0].calls, 1)
		close(leave)
		synctest.Wait()
		require.Empty(t, rig.lanes[0].calls)
	})
	bubble(t, "a frame that was received belongs to its caller again", func(t *testing.T) {
		first := make(chan struct{})
		rig := newServerRig(t, ServerOptions{MaxCalls: 1, Handle: func(ctx context.Context, r *Request, c *Call) {
			<-first
			echo(ctx, r, c)
		}})
		for _, body := range []string{`"one"`, `"two"`} {
			f := textFrame(`{"i":` + body + `,"p":{"u":"/a","b":` + body + `}}`)
			require.NoError(t, rig.Receive(f))
			clear(f.Data)
		}
		close(first)
		require.Equal(t, []string{`{"i":"one","p":{"b":"one"}}`, `{"i":"two","p":{"b":"two"}}`}, rig.out.take())
	})
	bubble(t, "requests hold no more bytes than they may, and the reader waits", func(t *testing.T) {
		leave := make(chan struct{})
		rig := newServerRig(t, ServerOptions{MaxBytes: 10_000, MaxCalls: 2, Handle: func(context.Context, *Request, *Call) { <-leave }})
		received := 0
		go func() {
			for i := range 40 {
				if rig.Receive(textFrame(fmt.Sprintf(`{"i":%d,"p":{"u":"/a","b":"%s"}}`, i, strings.Repeat("x", 1000)))) == nil {
					received++
				}
			}
		}()
		synctest.Wait()
		require.LessOrEqual(t, rig.bytes, 10_000)
		require.Equal(t, 2, rig.lanes[0].running)
		require.Less(t, received, 10)
		require.Greater(t, received, 5)
		close(leave)
		synctest.Wait()
		require.Equal(t, 40, received)
	})
	bubble(t, "one request always has room", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{MaxBytes: 10, Handle: echo})
		rig.receive(t, request1)
		rig.receive(t, request1)
		require.Len(t, rig.out.take(), 2)
	})
	bubble(t, "urgent requests do not wait for others, but for each other", func(t *testing.T) {
		leave := make(chan struct{})
		ran := make(chan string, 10)
		rig := newServerRig(t, ServerOptions{
			MaxCalls: 1,
			Urgent:   func(r *Request) int { return strings.Count(r.URL.Path, "urgent") },
			Handle: func(_ context.Context, _ *Request, c *Call) {
				ran <- string(c.ID())
				<-leave
			},
		})
		rig.receive(t, `{"i":1,"p":{"u":"/a"}}`, `{"i":2,"p":{"u":"/a"}}`, `{"i":3,"p":{"u":"/urgent"}}`, `{"i":4,"p":{"u":"/urgent"}}`, `{"i":4,"t":4}`, `{"i":5,"p":{"u":"/urgent"}}`)
		require.ElementsMatch(t, []string{"1", "3"}, []string{<-ran, <-ran})
		require.Empty(t, ran)
		leave <- struct{}{}
		leave <- struct{}{}
		synctest.Wait()
		require.ElementsMatch(t, []string{"2", "5"}, []string{<-ran, <-ran})
		close(leave)
	})
	bubble(t, "open streams have a limit of their own", func(t *testing.T) {
		refused := make(chan string, 10)
		rig := newServerRig(t, ServerOptions{MaxStreams: 2, MaxCalls: 1, Handle: func(ctx context.Context, _ *Request, c *Call) {
			if errors.Is(c.Respond(ctx, eventStream), ErrTooManyStreams) {
				refused <- string(c.ID())
				_ = c.Respond(ctx, &Response{Status: 429})
				return
			}
			<-ctx.Done()
		}})
		rig.receive(t, `{"i":1,"p":{"u":"/a"}}`, `{"i":2,"p":{"u":"/a"}}`)
		rig.receive(t, `{"i":3,"p":{"u":"/a"}}`)
		require.Equal(t, "3", <-refused)
		require.Zero(t, rig.lanes[0].running)
		rig.receive(t, `{"i":1,"t":4}`)
		rig.receive(t, `{"i":4,"p":{"u":"/a"}}`)
		require.Empty(t, refused)
		require.Equal(t, 2, rig.streams)
	})
	bubble(t, "stopping drops requests that wait, and ends a receive that does", func(t *testing.T) {
		leave := make(chan struct{})
		ran := 0
		rig := newServerRig(t, ServerOptions{MaxBytes: 1500, MaxCalls: 1, Handle: func(ctx context.Context, _ *Request, _ *Call) {
			ran++
			<-leave
			require.NoError(t, ctx.Err(), "handlers that run go on")
		}})
		rig.receive(t, request1, request2)
		errs := make(chan error, 1)
		go func() {
			errs <- rig.Receive(textFrame(`{"i":3,"p":{"u":"/a","b":"` + strings.Repeat("x", 1500) + `"}}`))
		}()
		synctest.Wait()
		require.Empty(t, errs)
		rig.Stop()
		require.ErrorIs(t, <-errs, ErrClosed)
		close(leave)
		synctest.Wait()
		require.Equal(t, 1, ran)
	})
	bubble(t, "without callbacks answers have no body", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: echo})
		rig.receive(t, `{"i":"7","p":{}}`)
		require.Equal(t, []string{`{"i":"7","p":{"s":400}}`}, rig.out.take())
	})
	bubble(t, "W40 frames are taken in order of arrival", func(t *testing.T) {
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, _ *Request, c *Call) {
			<-ctx.Done()
			_ = c.Respond(context.Background(), &Response{})
		}})
		require.NoError(t, rig.Receive(Frame{Binary: true, Data: []byte(request1)}))
		rig.receive(t, abort1)
		require.Empty(t, rig.calls.list, "the abort has found the request")
	})
}

func TestNewServerPanicsWithoutRequiredOptions(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { NewServer(t.Context(), ServerOptions{Handle: echo}) })
}
