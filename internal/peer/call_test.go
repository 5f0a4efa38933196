package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestCall(t *testing.T) {
	// run starts a server with the handler f and sends it one request.
	run := func(t *testing.T, f func(ctx context.Context, c *Call)) *serverRig {
		t.Helper()
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, _ *Request, c *Call) { f(ctx, c) }})
		rig.receive(t, request1)
		return rig
	}
	bubble(t, "PE-038 PE-084 PE-085 a stream: response, events, end", func(t *testing.T) {
		var errs []error
		rig := run(t, func(_ context.Context, c *Call) {
			errs = append(errs, c.Event(t.Context(), data("0")), c.Respond(t.Context(), eventStream), c.Event(t.Context(), data("1")),
				c.Event(t.Context(), &Event{Kind: EventDone, Data: json.RawMessage("2"), Meta: EventMeta{ID: "e", HasID: true}}), c.Event(t.Context(), data("3")))
		})
		require.Equal(t, []string{
			stream1,
			`{"i":"1","t":3,"p":{"e":"message","d":1}}`,
			`{"i":"1","t":3,"p":{"e":"done","d":2,"m":{"id":"e"}}}`,
		}, rig.out.take())
		require.Equal(t, []error{ErrNoStream, nil, nil, nil, ErrFinished}, errs)
		require.Empty(t, eventStream.ID)
	})
	bubble(t, "Send gets the contexts of Respond and Event", func(t *testing.T) {
		type key struct{}
		rig := run(t, func(ctx context.Context, c *Call) {
			_ = c.Respond(context.WithValue(ctx, key{}, 1), eventStream)
			_ = c.Event(context.WithValue(ctx, key{}, 2), data("1"))
		})
		require.Len(t, rig.out.take(), 2)
		require.Equal(t, 1, rig.out.ctxs[0].Value(key{}))
		require.Equal(t, 2, rig.out.ctxs[1].Value(key{}))
	})
	bubble(t, "PE-039 an abort while the stream runs", func(t *testing.T) {
		var err error
		rig := run(t, func(ctx context.Context, c *Call) {
			_ = c.Respond(t.Context(), eventStream)
			<-ctx.Done()
			err = c.Event(t.Context(), data("1"))
		})
		rig.receive(t, abort1)
		require.Equal(t, []string{stream1}, rig.out.take())
		require.ErrorIs(t, err, ErrAborted)
	})
	bubble(t, "PE-040 an error event without data", func(t *testing.T) {
		rig := run(t, func(_ context.Context, c *Call) {
			_ = c.Respond(t.Context(), eventStream)
			_ = c.Event(t.Context(), &Event{Kind: EventError})
		})
		require.Equal(t, []string{stream1, `{"i":"1","t":3,"p":{"e":"error"}}`}, rig.out.take())
	})
	bubble(t, "PE-041 a held call outlives its handler", func(t *testing.T) {
		var held *Call
		var life context.Context
		rig := run(t, func(ctx context.Context, c *Call) {
			held, life = c, ctx
			c.Hold()
			_ = c.Respond(t.Context(), eventStream)
		})
		require.Equal(t, 1, rig.streams)
		require.Zero(t, rig.lanes[0].running, "a stream does not count as a call")
		require.NoError(t, life.Err())
		rig.receive(t, request1)
		require.Equal(t, []string{stream1}, rig.out.take(), "the id is in use")
		require.NoError(t, held.Event(t.Context(), data("1")))
		held.Finish()
		held.Finish()
		require.Equal(t, ErrFinished, context.Cause(life))
		require.Equal(t, ErrFinished, held.Event(t.Context(), data("2")))
		require.Len(t, rig.out.take(), 1)
		require.Zero(t, rig.streams)
	})
	bubble(t, "W39 an abort ends a held call", func(t *testing.T) {
		var held *Call
		var life context.Context
		rig := run(t, func(ctx context.Context, c *Call) {
			held, life = c, ctx
			c.Hold()
			_ = c.Respond(t.Context(), eventStream)
		})
		rig.receive(t, abort1)
		require.Equal(t, ErrAborted, context.Cause(life))
		require.ErrorIs(t, held.Event(t.Context(), data("1")), ErrAborted)
		require.ErrorIs(t, held.Respond(t.Context(), &Response{}), ErrAborted)
		require.Zero(t, rig.lanes[0].running)
	})
	bubble(t, "closing ends a held call", func(t *testing.T) {
		var life context.Context
		rig := run(t, func(ctx context.Context, c *Call) {
			life = ctx
			c.Hold()
		})
		rig.Close()
		require.Equal(t, ErrClosed, context.Cause(life))
	})
	bubble(t, "PE-043 a failure to send the response is returned, and the context does not end", func(t *testing.T) {
		broken := errors.New("broken pipe")
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, _ *Request, c *Call) {
			if !errors.Is(c.Respond(t.Context(), &Response{}), broken) || ctx.Err() != nil {
				panic("wrong")
			}
		}})
		rig.out.fail = func(string) error { return broken }
		rig.receive(t, request1)
		require.Empty(t, rig.panics)
	})
	bubble(t, "PE-045 a failure to send an event ends the call", func(t *testing.T) {
		broken := errors.New("broken pipe")
		var errs []error
		rig := newServerRig(t, ServerOptions{Handle: func(_ context.Context, _ *Request, c *Call) {
			errs = append(errs, c.Respond(t.Context(), eventStream), c.Event(t.Context(), data("1")), c.Event(t.Context(), data("2")))
		}})
		rig.out.fail = func(frame string) error {
			if frame != stream1 {
				return broken
			}
			return nil
		}
		rig.receive(t, request1)
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], broken)
		require.ErrorIs(t, errs[2], ErrFinished)
	})
	bubble(t, "the response is sent once", func(t *testing.T) {
		var errs []error
		rig := run(t, func(_ context.Context, c *Call) {
			errs = append(errs, c.Respond(t.Context(), &Response{Status: -1}), c.Respond(t.Context(), &Response{}), c.Respond(t.Context(), &Response{}), c.Event(t.Context(), data("1")))
		})
		require.Equal(t, []string{`{"i":"1","p":{}}`}, rig.out.take())
		require.ErrorIs(t, errs[0], errStatus)
		require.Equal(t, []error{nil, ErrResponded, ErrFinished}, errs[1:])
	})
	bubble(t, "an id is free as soon as its last frame is out, while the handler still runs", func(t *testing.T) {
		leave := make(chan struct{})
		var life context.Context
		rig := run(t, func(ctx context.Context, c *Call) {
			life = ctx
			_ = c.Respond(t.Context(), &Response{})
			<-leave
		})
		require.NoError(t, life.Err())
		rig.receive(t, request1)
		require.Len(t, rig.out.take(), 2)
		close(leave)
	})
	bubble(t, "bad metadata is the publisher's error", func(t *testing.T) {
		var errs []error
		rig := run(t, func(_ context.Context, c *Call) {
			bad := data("1")
			bad.Meta = EventMeta{ID: "a\nb", HasID: true}
			errs = append(errs, c.Respond(t.Context(), eventStream), c.Event(t.Context(), bad), c.Event(t.Context(), data("2")))
		})
		require.Equal(t, []error{nil, ErrLineBreak, nil}, errs)
		require.Equal(t, []string{stream1, `{"i":"1","t":3,"p":{"e":"message","d":2}}`}, rig.out.take())
	})
}

func TestCallInput(t *testing.T) {
	const streamRequest = `{"i":"1","p":{"u":"/a","h":{"content-type":"text/event-stream"}}}`
	const one, done = `{"i":"1","t":3,"p":{"e":"message","d":1}}`, `{"i":"1","t":3,"p":{"e":"done","d":2}}`
	run := func(t *testing.T, f func(ctx context.Context, c *Call)) *serverRig {
		t.Helper()
		return newServerRig(t, ServerOptions{
			Handle:      func(ctx context.Context, _ *Request, c *Call) { f(ctx, c) },
			TakesEvents: func(*Request) bool { return true },
			MaxBytes:    2000,
		})
	}
	bubble(t, "PE-033 the handler reads the events of the request", func(t *testing.T) {
		var got []string
		var end error
		rig := run(t, func(ctx context.Context, c *Call) {
			for {
				e, err := c.Next(ctx)
				if err != nil {
					end = err
					break
				}
				got = append(got, string(e.Kind)+" "+string(e.Data))
			}
			_ = c.Respond(t.Context(), &Response{})
		})
		rig.receive(t, streamRequest, one, one, done, one)
		require.Equal(t, []string{"message 1", "message 1", "done 2"}, got)
		require.Equal(t, io.EOF, end)
		require.Equal(t, []string{`{"i":"1","p":{}}`}, rig.out.take())
	})
	bubble(t, "PE-034 a handler that stops reading notifies the client", func(t *testing.T) {
		var errs []error
		rig := run(t, func(ctx context.Context, c *Call) {
			_, err := c.Next(ctx)
			errs = append(errs, err, c.CloseInput(), c.CloseInput())
			_, err = c.Next(ctx)
			errs = append(errs, err, c.Respond(t.Context(), &Response{}))
		})
		rig.receive(t, streamRequest, one)
		require.Equal(t, []error{nil, nil, nil, io.EOF, nil}, errs)
		require.Equal(t, []string{abort1, `{"i":"1","p":{}}`}, rig.out.take())
	})
	bubble(t, "PE-034 a handler that panics or returns notifies the client", func(t *testing.T) {
		rig := run(t, func(context.Context, *Call) { panic("boom") })
		rig.receive(t, streamRequest)
		require.Equal(t, []string{abort1}, rig.out.take())

		rig = run(t, func(_ context.Context, c *Call) {
			_ = c.Respond(t.Context(), eventStream)
			_ = c.Event(t.Context(), &Event{Kind: EventDone})
		})
		rig.receive(t, streamRequest)
		require.Equal(t, []string{stream1, `{"i":"1","t":3,"p":{"e":"done"}}`, abort1}, rig.out.take())
	})
	bubble(t, "PE-016 a plain response stops the client by itself", func(t *testing.T) {
		rig := run(t, func(_ context.Context, c *Call) { _ = c.Respond(t.Context(), &Response{}) })
		rig.receive(t, streamRequest, one)
		require.Equal(t, []string{`{"i":"1","p":{}}`}, rig.out.take())
	})
	bubble(t, "PE-044 a failure to send the abort is the handler's and does not end the call", func(t *testing.T) {
		broken := errors.New("broken pipe")
		var errs []error
		rig := run(t, func(_ context.Context, c *Call) {
			errs = append(errs, c.CloseInput(), c.Respond(t.Context(), &Response{}))
		})
		rig.out.fail = func(frame string) error {
			if frame == abort1 {
				return broken
			}
			return nil
		}
		rig.receive(t, streamRequest)
		require.Equal(t, []error{broken, nil}, errs)
	})
	bubble(t, "W28 unread events are counted with the memory that they keep, and the reader waits", func(t *testing.T) {
		read := make(chan struct{})
		var got int
		rig := run(t, func(ctx context.Context, c *Call) {
			for range read {
				if _, err := c.Next(ctx); err == nil {
					got++
				}
			}
		})
		rig.receive(t, streamRequest)
		padded := one[:len(one)-1] + `,"pad":"` + strings.Repeat("x", 300) + `"}`
		received := 0
		go func() {
			for range 10 {
				if rig.Receive(textFrame(padded)) == nil {
					received++
				}
			}
		}()
		synctest.Wait()
		require.Equal(t, 2, received, "an event keeps its frame in memory")
		read <- struct{}{}
		synctest.Wait()
		require.Equal(t, 3, received)
		for range 9 {
			read <- struct{}{}
		}
		close(read)
		synctest.Wait()
		require.Equal(t, 10, received)
		require.Equal(t, 10, got)
	})
	bubble(t, "events that no handler takes are dropped", func(t *testing.T) {
		leave := make(chan struct{})
		rig := newServerRig(t, ServerOptions{Handle: func(context.Context, *Request, *Call) { <-leave }})
		rig.receive(t, streamRequest)
		held := rig.bytes
		for range 100 {
			rig.receive(t, one)
		}
		require.Equal(t, held, rig.bytes)
		close(leave)
	})
	bubble(t, "an event that cannot be read fails the input", func(t *testing.T) {
		var end error
		rig := run(t, func(ctx context.Context, c *Call) { _, end = c.Next(ctx) })
		rig.receive(t, streamRequest)
		require.Error(t, rig.Receive(textFrame(`{"i":"1","t":3,"p":{"e":1}}`)))
		synctest.Wait()
		require.ErrorIs(t, end, errNoText)
	})
	bubble(t, "a request that is not a stream has no input", func(t *testing.T) {
		var errs []error
		rig := run(t, func(ctx context.Context, c *Call) {
			_, err := c.Next(ctx)
			errs = append(errs, err, c.CloseInput())
		})
		rig.receive(t, request1, one)
		require.Equal(t, []error{ErrNoStream, nil}, errs)
	})
	bubble(t, "PE-046 closing ends a read", func(t *testing.T) {
		var end error
		rig := run(t, func(_ context.Context, c *Call) { _, end = c.Next(context.Background()) })
		rig.receive(t, streamRequest)
		rig.Close()
		rig.Wait()
		require.ErrorIs(t, end, ErrClosed)
		require.Empty(t, rig.out.take())
	})
}
