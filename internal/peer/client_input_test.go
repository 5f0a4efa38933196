package peer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// sendInput makes a call whose input is sent by send, on a separate goroutine, and waits
// until all goroutines are blocked.
func (rig *clientRig) sendInput(ctx context.Context, t *testing.T, send func(*Input)) *result {
	t.Helper()
	r := &Request{URL: mustURL(t, "http://orpc/call"), Header: http.Header{"Content-Type": {"text/event-stream"}}}
	res := new(result)
	go func() {
		response, stream, err := rig.DoInput(ctx, r, func(i *Input) { go send(i) })
		*res = result{true, response, stream, err}
	}()
	synctest.Wait()
	return res
}

func message(data string) *Event { return &Event{Kind: EventMessage, Data: []byte(data)} }

func TestClientInput(t *testing.T) {
	const inputRequest = `{"i":"1","p":{"u":"/call","h":{"content-type":"text/event-stream"}}}`
	bubble(t, "PE-007 the request, then each event, with metadata, then done", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var errs []error
		res := rig.sendInput(t.Context(), t, func(i *Input) {
			retry := int64(-1)
			errs = append(errs,
				i.Send(t.Context(), &Event{Kind: EventMessage, Data: []byte("1"), Meta: EventMeta{ID: "a", HasID: true}}),
				i.Send(t.Context(), &Event{Meta: EventMeta{Retry: &retry}}),
				i.Send(t.Context(), &Event{Kind: EventDone, Data: []byte("2")}),
				i.Send(t.Context(), message("3")),
			)
		})
		require.Equal(t, []string{
			inputRequest,
			`{"i":"1","t":3,"p":{"e":"message","d":1,"m":{"id":"a"}}}`,
			`{"i":"1","t":3,"p":{"e":"done","d":2}}`,
		}, rig.take())
		require.Equal(t, []error{nil, ErrRetry, nil, ErrInputStopped}, errs)
		require.False(t, res.done)
		rig.receive(t, answer1)
		require.NoError(t, res.err)
		require.Empty(t, rig.take())
	})
	endless := func(done chan<- error) func(*Input) {
		return func(i *Input) {
			err := i.Send(context.Background(), message("1"))
			<-i.Done()
			done <- errors.Join(err, i.Send(context.Background(), message("2")))
		}
	}
	for name, c := range map[string]struct {
		frame string
		sent  []string // besides the request and the first event
	}{
		"PE-008 an abort of the server stops it, and the answer still arrives": {abort1, nil},
		"PE-016 a plain response stops it":                                     {answer1, nil},
		"a response that cannot be read stops it":                              {`{"i":"1","p":{"s":-1}}`, []string{abort1}},
	} {
		bubble(t, name, func(t *testing.T) {
			rig := newClientRig(t, nil)
			done := make(chan error, 1)
			res := rig.sendInput(t.Context(), t, endless(done))
			_ = rig.Receive(textFrame(c.frame)) // one of them is bad
			require.ErrorIs(t, <-done, ErrInputStopped)
			require.Equal(t, append([]string{inputRequest, `{"i":"1","t":3,"p":{"e":"message","d":1}}`}, c.sent...), rig.take())
			if c.frame == abort1 {
				require.False(t, res.done)
				rig.receive(t, answer1)
			}
			synctest.Wait()
			require.True(t, res.done)
		})
	}
	bubble(t, "PE-017 a response that is a stream leaves it alone, the end of that does not", func(t *testing.T) {
		rig := newClientRig(t, nil)
		done, next := make(chan error, 1), make(chan struct{})
		res := rig.sendInput(t.Context(), t, func(i *Input) {
			<-next
			endless(done)(i)
		})
		rig.receive(t, stream1)
		require.NotNil(t, res.stream)
		next <- struct{}{}
		require.Equal(t, []string{inputRequest, `{"i":"1","t":3,"p":{"e":"message","d":1}}`}, rig.take())
		rig.receive(t, `{"i":"1","t":3,"p":{"e":"done"}}`)
		require.ErrorIs(t, <-done, ErrInputStopped)
		require.Empty(t, rig.take())
	})
	bubble(t, "PE-013 an event that cannot be sent ends it and leaves the answer alone", func(t *testing.T) {
		rig := newClientRig(t, nil)
		broken := errors.New("broken")
		rig.fail = func(frame string) error {
			if strings.Contains(frame, `"t":3`) {
				return broken
			}
			return nil
		}
		var err error
		res := rig.sendInput(t.Context(), t, func(i *Input) { err = i.Send(t.Context(), message("1")) })
		require.ErrorIs(t, err, broken)
		require.False(t, res.done)
		rig.receive(t, answer1)
		require.NoError(t, res.err)
	})
	bubble(t, "the end of the context ends it", func(t *testing.T) {
		rig := newClientRig(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		res := rig.sendInput(ctx, t, endless(done))
		cancel()
		require.ErrorIs(t, <-done, ErrInputStopped)
		synctest.Wait()
		require.ErrorIs(t, res.err, context.Canceled)
		require.Equal(t, abort1, rig.take()[2])
	})
	bubble(t, "closing ends it", func(t *testing.T) {
		rig := newClientRig(t, nil)
		done := make(chan error, 1)
		res := rig.sendInput(t.Context(), t, endless(done))
		rig.Close(nil)
		require.ErrorIs(t, <-done, ErrInputStopped)
		synctest.Wait()
		require.ErrorIs(t, res.err, ErrClosed)
	})
	bubble(t, "no more than one event waits for a slow socket", func(t *testing.T) {
		rig := newClientRig(t, nil)
		rig.gate = make(chan struct{})
		defer close(rig.gate)
		sent := 0
		rig.sendInput(t.Context(), t, func(i *Input) {
			for ; i.Send(context.Background(), message("1")) == nil; sent++ { //nolint:revive // it counts
			}
		})
		rig.gate <- struct{}{} // the request
		synctest.Wait()
		require.Zero(t, sent)
		rig.gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, 1, sent)
		rig.outbox.mu.Lock()
		rig.fail = func(string) error { return errors.New("enough") }
		rig.outbox.mu.Unlock()
	})
}

// Without TakesEvents the events that a client sends are not kept.
func TestEventsOfARequestAreIgnored(t *testing.T) {
	bubble(t, "W28", func(t *testing.T) {
		var end error
		rig := newServerRig(t, ServerOptions{Handle: func(ctx context.Context, _ *Request, c *Call) {
			_, end = c.Next(ctx)
		}})
		rig.receive(t, `{"i":"1","p":{"u":"/a","h":{"content-type":"text/event-stream"}}}`, `{"i":"1","t":3,"p":{"e":"message","d":1}}`)
		require.Equal(t, ErrNoStream, end)
	})
}
