//go:build !js

package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Methods whose output is a stream of events.

var progress = rpc.DefineEventsIn[string, int, string](rpc.Group("group"), "progress")

// openProgress calls the method, and answers that the stream is open.
func openProgress(ctx context.Context, t *testing.T, it *client.Iterator[string], s *socket, opts ...rpc.CallOption) (*rpc.Events[int, string], frame) {
	t.Helper()
	opened := make(chan *rpc.Events[int, string], 1)
	go func() {
		events, err := progress.Call(ctx, it, "in", opts...)
		if err != nil {
			t.Error(err)
		}
		opened <- events
	}()
	f := s.next()
	require.Equal(t, `{"json":{"path":["group","progress"],"input":"in"}}`, string(f.Payload.Body))
	s.send(`{"i":%s,"p":{"h":{"content-type":"text/event-stream"}}}`, f.ID)
	return <-opened, f
}

func TestEventsOfMethods(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		events, f := openProgress(t.Context(), t, it, s)
		s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":1},"m":{"id":"p-1"}}}`, f.ID)
		s.event("e-1") // of the subscription, which continues meanwhile
		s.send(`{"i":%s,"t":3,"p":{"e":"done","d":{"json":"out"}}}`, f.ID)
		for n, err := range events.All() {
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		out, err := events.Result()
		require.NoError(t, err)
		require.Equal(t, "out", out)
		require.Equal(t, "p-1", events.LastEventID())
		for event, err := range it.All() {
			require.NoError(t, err)
			require.Equal(t, "e-1", event)
			break
		}
		require.Equal(t, "e-1", it.LastEventID())
	})
}

func TestEventsOfMethodsAreAborted(t *testing.T) {
	for name, end := range map[string]func(events *rpc.Events[int, string], cancel func()){
		"by Close":   func(events *rpc.Events[int, string], _ func()) { _ = events.Close() },
		"by context": func(_ *rpc.Events[int, string], cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := h.live(h.options())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				events, f := openProgress(ctx, t, it, s)
				end(events, cancel)
				abort := s.next()
				require.Equal(t, 4, abort.Type)
				require.Equal(t, string(f.ID), string(abort.ID))
				require.Equal(t, client.StateLive, it.State(), "the connection is not touched")
			})
		})
	}
}

func TestEventsOfMethodsFailWithTheConnection(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(it *client.Iterator[string], s *socket)
		want error
	}{
		"lost":   {func(_ *client.Iterator[string], s *socket) { s.drop() }, rpc.ErrDisconnected},
		"closed": {func(it *client.Iterator[string], _ *socket) { _ = it.Close() }, client.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := h.live(h.options())
				events, _ := openProgress(t.Context(), t, it, s)
				time.AfterFunc(time.Second, func() { test.end(it, s) })
				for _, err := range events.All() {
					require.ErrorIs(t, err, test.want)
				}
				_, err := events.Result()
				require.ErrorIs(t, err, test.want)
			})
		})
	}
}

// With retries a stream continues on the next connection, after its last event.
func TestEventsOfMethodsAreRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		events, f := openProgress(t.Context(), t, it, s, rpc.WithRetry(1))
		s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":1},"m":{"id":"p-1"}}}`, f.ID)
		read := make(chan int, 10)
		go func() {
			defer close(read)
			for n, err := range events.All() {
				if err != nil {
					t.Error(err)
				}
				read <- n
			}
		}()
		require.Equal(t, 1, <-read)
		s.drop()
		s = h.accept()
		s.expectSubscribe("e-0").open("complete", "")
		f = s.next()
		require.Equal(t, "/call", f.Payload.URL)
		require.Equal(t, "p-1", f.Payload.Header["last-event-id"])
		s.send(`{"i":%s,"p":{"h":{"content-type":"text/event-stream"}}}`, f.ID)
		s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":2}}}`, f.ID)
		s.send(`{"i":%s,"t":3,"p":{"e":"done","d":{"json":"out"}}}`, f.ID)
		require.Equal(t, 2, <-read)
		_, more := <-read
		require.False(t, more)
		out, err := events.Result()
		require.NoError(t, err)
		require.Equal(t, "out", out)
	})
}
