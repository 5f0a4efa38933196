package peer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	request1 = `{"i":"1","p":{"u":"/call"}}`
	request2 = `{"i":"2","p":{"u":"/call"}}`
	abort1   = `{"i":"1","t":4}`
	answer1  = `{"i":"1","p":{"b":"one"}}`
	stream1  = `{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}`
)

// clientRig is a client and the other side of its socket.
type clientRig struct {
	*Client
	outbox
}

func newClientRig(t *testing.T, o *ClientOptions) *clientRig {
	t.Helper()
	rig := new(clientRig)
	rig.Client = NewClient(rig.outbox.send, o)
	t.Cleanup(func() {
		rig.Close(nil)
		rig.Wait()
	})
	return rig
}

// result has the results of Do, once it has returned.
type result struct {
	done     bool
	response *Response
	stream   *Stream
	err      error
}

// call runs Do on a separate goroutine.
func (rig *clientRig) call(ctx context.Context, t *testing.T) *result {
	t.Helper()
	r := &Request{URL: mustURL(t, "http://orpc/call")}
	res := new(result)
	go func() {
		response, stream, err := rig.Do(ctx, r)
		*res = result{true, response, stream, err}
	}()
	synctest.Wait()
	return res
}

// receive passes frames to the client and waits until all goroutines are blocked.
func (rig *clientRig) receive(t *testing.T, frames ...string) {
	t.Helper()
	for _, f := range frames {
		require.NoError(t, rig.Receive(textFrame(f)))
	}
	synctest.Wait()
}

// openStream makes a call that is answered by an event stream.
func (rig *clientRig) openStream(t *testing.T) *Stream {
	t.Helper()
	res := rig.call(t.Context(), t)
	require.Equal(t, []string{request1}, rig.take())
	rig.receive(t, stream1)
	require.NoError(t, res.err)
	require.NotNil(t, res.stream)
	return res.stream
}

func TestClient(t *testing.T) {
	bubble(t, "PE-001 WS-001 the message with its id settles a request", func(t *testing.T) {
		rig := newClientRig(t, nil)
		res := rig.call(t.Context(), t)
		require.Equal(t, []string{request1}, rig.take())
		require.False(t, res.done)
		rig.receive(t, answer1)
		require.NoError(t, res.err)
		require.Equal(t, `"one"`, string(res.response.Body.JSON))
		require.Nil(t, res.stream)
		require.Empty(t, rig.take())
	})
	bubble(t, "PE-002 ids are consecutive and answers may arrive in any order", func(t *testing.T) {
		rig := newClientRig(t, nil)
		first, second := rig.call(t.Context(), t), rig.call(t.Context(), t)
		require.Equal(t, []string{request1, request2}, rig.take())
		rig.receive(t, `{"i":"2","p":{"b":"two"}}`)
		require.True(t, second.done)
		require.False(t, first.done)
		rig.receive(t, answer1)
		require.Equal(t, `"one"`, string(first.response.Body.JSON))
		require.Equal(t, `"two"`, string(second.response.Body.JSON))
	})
	bubble(t, "PE-003 a context that has ended sends nothing, and a late answer is ignored", func(t *testing.T) {
		rig := newClientRig(t, nil)
		cause := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		require.Equal(t, cause, rig.call(ctx, t).err)
		require.Empty(t, rig.take())
		rig.receive(t, answer1, `{"i":"1","t":3,"p":{"e":"message"}}`, abort1)
		require.Empty(t, rig.take())
	})
	bubble(t, "PE-004 a context that ends while the request is being sent", func(t *testing.T) {
		rig := newClientRig(t, nil)
		rig.gate = make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		res := rig.call(ctx, t)
		cause := errors.New("stop")
		cancel(cause)
		synctest.Wait()
		require.Equal(t, cause, res.err, "Do returns at once although the socket is stuck")
		close(rig.gate)
		require.Equal(t, []string{request1, abort1}, rig.take())
		for _, ctx := range rig.ctxs {
			require.NoError(t, ctx.Err(), "sending does not depend on the context of the call")
		}
	})
	bubble(t, "PE-005 a context that ends while waiting", func(t *testing.T) {
		rig := newClientRig(t, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		res := rig.call(ctx, t)
		cause := errors.New("stop")
		cancel(cause)
		synctest.Wait()
		require.Equal(t, cause, res.err)
		require.Equal(t, []string{request1, abort1}, rig.take())
		rig.receive(t, answer1)
		require.Empty(t, rig.calls)
	})
	bubble(t, "PE-006 a context that ends after the answer", func(t *testing.T) {
		rig := newClientRig(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		rig.call(ctx, t)
		rig.receive(t, answer1)
		cancel()
		require.Equal(t, []string{request1}, rig.take())
	})
	bubble(t, "PE-010 a request with a file", func(t *testing.T) {
		rig := newClientRig(t, nil)
		r := &Request{
			URL: mustURL(t, "/call"), Header: http.Header{"Content-Disposition": {"inline"}}, Body: Body{Bytes: []byte{0xFF, 1}},
		}
		go func() { _, _, _ = rig.Do(t.Context(), r) }()
		require.Equal(t, []string{`{"i":"1","p":{"u":"/call","h":{"content-disposition":"inline"}}}` + "\xff\xff\x01"}, rig.take())
	})
	bubble(t, "PE-011 a failure to send fails the request", func(t *testing.T) {
		rig := newClientRig(t, nil)
		broken := errors.New("broken pipe")
		rig.fail = func(string) error { return broken }
		require.ErrorIs(t, rig.call(t.Context(), t).err, broken)
		require.Empty(t, rig.calls)
	})
	bubble(t, "PE-012 a failure to send the abort still fails the request", func(t *testing.T) {
		rig := newClientRig(t, nil)
		rig.fail = func(frame string) error {
			if frame == abort1 {
				return errors.New("broken pipe")
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		res := rig.call(ctx, t)
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, res.err)
	})
	bubble(t, "an aborted request that could not be sent has no abort", func(t *testing.T) {
		rig := newClientRig(t, nil)
		rig.gate = make(chan struct{}, 2)
		rig.fail = func(string) error { return errors.New("broken pipe") }
		ctx, cancel := context.WithCancel(t.Context())
		rig.call(ctx, t)
		cancel()
		synctest.Wait()
		rig.gate <- struct{}{}
		synctest.Wait()
		require.Empty(t, rig.gate, "the request was tried")
		rig.gate <- struct{}{}
		synctest.Wait()
		require.Len(t, rig.gate, 1, "nothing else was")
	})
	bubble(t, "a request that waits behind others when its context ends is not sent", func(t *testing.T) {
		rig := newClientRig(t, nil)
		rig.gate = make(chan struct{})
		rig.call(t.Context(), t)
		ctx, cancel := context.WithCancel(t.Context())
		res := rig.call(ctx, t)
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, res.err)
		close(rig.gate)
		require.Equal(t, []string{request1}, rig.take())
	})
	bubble(t, "waiting frames are sent before they are flushed", func(t *testing.T) {
		rig := new(clientRig)
		var flushed []int // how many frames were sent by then
		rig.Client = NewClient(rig.outbox.send, &ClientOptions{Flush: func() { flushed = append(flushed, len(rig.frames)) }})
		rig.gate = make(chan struct{})
		for range 3 {
			rig.call(t.Context(), t)
		}
		rig.gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, []int{1}, flushed)
		close(rig.gate)
		require.Len(t, rig.take(), 3)
		require.Equal(t, []int{1, 3}, flushed)
		rig.Close(nil)
		rig.Wait()
	})
	bubble(t, "PE-018 WS-002 binary answers", func(t *testing.T) {
		rig := newClientRig(t, nil)
		file, form := rig.call(t.Context(), t), rig.call(t.Context(), t)
		require.NoError(t, rig.Receive(Frame{Binary: true, Data: []byte(`{"i":"1","p":{"h":{"content-disposition":"inline"}}}` + "\xffabc")}))
		require.NoError(t, rig.Receive(Frame{Binary: true, Data: []byte(`{"i":"2","p":{"b":1}}`)}))
		synctest.Wait()
		require.Equal(t, "abc", string(file.response.Body.Bytes))
		require.Equal(t, "1", string(form.response.Body.JSON))
	})
	bubble(t, "PE-019 WS-003 closing fails all that wait", func(t *testing.T) {
		rig := newClientRig(t, nil)
		cause := errors.New("connection lost")
		first, second := rig.call(t.Context(), t), rig.call(t.Context(), t)
		rig.take()
		rig.Close(cause)
		rig.Close(errors.New("the first cause counts"))
		synctest.Wait()
		for _, res := range []*result{first, second, rig.call(t.Context(), t)} {
			require.ErrorIs(t, res.err, ErrClosed)
			require.ErrorIs(t, res.err, cause)
		}
		rig.receive(t, answer1)
		require.Empty(t, rig.take(), "WS-005: a call on a closed client fails at once")
	})
	bubble(t, "W37 an answer that cannot be read fails its call", func(t *testing.T) {
		rig := newClientRig(t, nil)
		res, other := rig.call(t.Context(), t), rig.call(t.Context(), t)
		rig.take()
		var bad *DecodeError
		require.ErrorAs(t, rig.Receive(textFrame(`{"i":"1","p":{"s":"?"}}`)), &bad)
		synctest.Wait()
		require.ErrorIs(t, res.err, errStatus)
		require.Equal(t, []string{abort1}, rig.take(), "it may have been an event stream")
		require.ErrorAs(t, rig.Receive(textFrame(`nonsense`)), &bad)
		require.ErrorAs(t, rig.Receive(textFrame(`{"i":"2","t":3}`)), &bad)
		require.False(t, other.done, "an event cannot be the answer")
	})
	bubble(t, "a request that cannot be encoded is not sent", func(t *testing.T) {
		rig := newClientRig(t, nil)
		_, _, err := rig.Do(t.Context(), &Request{})
		require.ErrorIs(t, err, errNoAddress)
		require.Empty(t, rig.take())
	})
	bubble(t, "one sequence over many clients", func(t *testing.T) {
		ids := new(Sequence)
		for _, want := range []string{request1, request2} {
			rig := newClientRig(t, &ClientOptions{Sequence: ids})
			rig.call(t.Context(), t)
			require.Equal(t, []string{want}, rig.take())
			rig.Close(nil)
		}
	})
}

// Calls that end while the server takes no frames are not kept.
func TestWithdrawnRequestsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		c := NewClient(func(context.Context, Frame) error { <-stuck; return nil }, nil)
		first, stop := context.WithCancel(t.Context())
		request := &Request{URL: mustURL(t, "/first")}
		go func() { _, _, _ = c.Do(first, request) }()
		synctest.Wait()
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, err := c.Do(ctx, &Request{URL: mustURL(t, "/a"), Body: Body{JSON: json.RawMessage("1")}})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		c.mu.Lock()
		require.Less(t, len(c.queue), 10)
		c.mu.Unlock()
		stop()
		close(stuck)
		c.Close(nil)
		c.Wait()
	})
}

// A request that is withdrawn just as it would be sent does not end the sending.
func TestSenderOutlivesWithdrawnRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := NewClient(func(context.Context, Frame) error { sent.Add(1); return nil }, nil)
		call := func(ctx context.Context) { _, _, _ = c.Do(ctx, &Request{URL: mustURL(t, "/a")}) }
		go call(t.Context()) // if there are several calls, the sender yields before it sends
		for range 2000 {
			ctx, cancel := context.WithCancel(t.Context())
			var callers sync.WaitGroup
			callers.Go(func() { call(ctx) })
			runtime.Gosched()
			cancel()
			callers.Wait()
		}
		synctest.Wait()
		before := sent.Load()
		go call(t.Context())
		synctest.Wait()
		require.Equal(t, before+1, sent.Load())
		c.Close(nil)
		c.Wait()
	})
}

func TestClientIsBusyWhileItExpectsMessages(t *testing.T) {
	bubble(t, "answer", func(t *testing.T) {
		rig := newClientRig(t, nil)
		require.False(t, rig.Busy())
		rig.call(t.Context(), t)
		require.True(t, rig.Busy())
		require.NoError(t, rig.Receive(textFrame(answer1)))
		require.False(t, rig.Busy())
	})
	bubble(t, "call that has ended early", func(t *testing.T) {
		rig := newClientRig(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		rig.call(ctx, t)
		cancel()
		synctest.Wait()
		require.False(t, rig.Busy())
	})
	bubble(t, "stream of a call", func(t *testing.T) {
		rig := newClientRig(t, nil)
		res := rig.call(t.Context(), t)
		require.NoError(t, rig.Receive(textFrame(stream1)))
		synctest.Wait()
		require.True(t, rig.Busy())
		require.NoError(t, res.stream.Close())
		require.False(t, rig.Busy())
	})
	bubble(t, "stream of an observer", func(t *testing.T) {
		rig := newClientRig(t, nil)
		r := &Request{URL: mustURL(t, "http://orpc/call")}
		go func() { _, _, _ = rig.DoFunc(t.Context(), r, Observer{}) }()
		synctest.Wait()
		require.True(t, rig.Busy(), "its answer is expected")
		require.NoError(t, rig.Receive(textFrame(stream1)))
		require.False(t, rig.Busy(), "its events are not")
		rig.call(t.Context(), t)
		require.True(t, rig.Busy())
	})
}
