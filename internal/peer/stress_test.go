package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStress connects a client and a server and makes 1000 calls at once, some of them
// streams, many of them cancelled at a random moment. Each answer must reach its own
// caller, and nothing may be kept afterwards.
func TestStress(t *testing.T) {
	t.Parallel()
	const calls, events = 1000, 5
	down, up := make(chan Frame, 16), make(chan Frame, 16)
	put := func(to chan<- Frame) func(context.Context, Frame) error {
		return func(_ context.Context, f Frame) error {
			to <- f
			return nil
		}
	}
	client := NewClient(put(up), nil)
	server := NewServer(t.Context(), ServerOptions{
		MaxCalls: calls, MaxStreams: calls,
		Send:   put(down),
		Panic:  func(_ *Request, v any) { t.Errorf("panic: %v", v) },
		Handle: stressHandler(events),
	})
	var serverReads, clientReads sync.WaitGroup
	read := func(from <-chan Frame, receive func(Frame) error) {
		for f := range from {
			if err := receive(f); err != nil {
				t.Errorf("receive: %v", err)
			}
		}
	}
	serverReads.Go(func() { read(up, server.Receive) })
	clientReads.Go(func() { read(down, client.Receive) })

	var callers sync.WaitGroup
	var answered, cancelled atomic.Int64
	for n := range calls {
		callers.Go(func() {
			switch err := stressCall(t.Context(), client, n, events); {
			case err == nil:
				answered.Add(1)
			case errors.Is(err, errStressCancel):
				cancelled.Add(1)
			default:
				t.Errorf("call %d: %v", n, err)
			}
		})
	}
	callers.Wait()
	require.GreaterOrEqual(t, answered.Load(), int64(calls*2/3-1), "only every third call is cancelled")
	require.Positive(t, cancelled.Load())

	require.Empty(t, client.calls)
	client.Close(nil)
	client.Wait()
	close(up)
	serverReads.Wait() // a closed server takes no requests
	server.Close()
	server.Wait()
	close(down)
	clientReads.Wait()
	require.Empty(t, server.calls.list)
	require.Zero(t, server.lanes[0].running)
	require.Zero(t, server.streams)
	require.Zero(t, server.bytes)
}

var errStressCancel = errors.New("cancelled by the test")

// stressHandler returns a handler that answers with the body of the request, as a plain
// response or as a stream.
func stressHandler(events int) func(context.Context, *Request, *Call) {
	return func(ctx context.Context, r *Request, c *Call) {
		switch r.URL.Path {
		case "/hang":
			<-ctx.Done()
			return
		case "/plain":
			_ = c.Respond(context.Background(), &Response{Body: r.Body}) // returns an error for calls that were aborted
			return
		}
		_ = c.Respond(context.Background(), &Response{Header: http.Header{"Content-Type": {"text/event-stream"}}})
		for range events {
			_ = c.Event(context.Background(), &Event{Kind: EventMessage, Data: r.Body.JSON})
		}
		_ = c.Event(context.Background(), &Event{Kind: EventDone, Data: r.Body.JSON})
	}
}

// stressCall makes the call n and checks that everything it receives belongs to it.
func stressCall(ctx context.Context, c *Client, n, events int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if n%3 == 0 {
		var canceller sync.WaitGroup
		defer canceller.Wait()
		canceller.Go(func() {
			for range rand.IntN(200) {
				runtime.Gosched()
			}
			cancel(errStressCancel)
		})
	}
	body := json.RawMessage(fmt.Sprint(n))
	path := "/plain"
	switch {
	case n%9 == 0: // these are cancelled for sure
		path = "/hang"
	case n%2 == 0:
		path = "/stream"
	}
	u, err := parseAddress(path)
	if err != nil {
		return err
	}
	response, stream, err := c.Do(ctx, &Request{URL: u, Body: Body{JSON: body}})
	if err != nil {
		return err
	}
	if stream == nil {
		if path == "/stream" || string(response.Body.JSON) != string(body) {
			return fmt.Errorf("got response %s", response.Body.JSON)
		}
		return nil
	}
	defer func() { _ = stream.Close() }() // always returns nil
	for i := range events + 1 {
		e, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if string(e.Data) != string(body) || e.ends() != (i == events) {
			return fmt.Errorf("got event %d: %s %s", i, e.Kind, e.Data)
		}
	}
	return nil
}
