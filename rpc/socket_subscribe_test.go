package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

const streamOpens = `{"i":"1","p":{"h":{"content-type":"text/event-stream","x-position":"5"}}}`

// subscriber makes a subscription in the background and writes down what arrives.
type subscriber struct {
	peer   *transport.ClientPeer
	box    *outbox
	header []http.Header
	events []transport.PeerEvent
	done   chan subscribed
}

type subscribed struct {
	stop func()
	err  error
}

// subscribe waits for the request and passes the answers to the peer.
func subscribe(t *testing.T, answers ...string) *subscriber {
	t.Helper()
	p, box := newClient(t, transport.ClientPeerOptions{})
	s := &subscriber{peer: p, box: box, done: make(chan subscribed, 1)}
	go func() {
		stop, err := p.Subscribe(t.Context(), &rpc.Call{Path: []string{"subscribe"}, Input: rpc.Void{}, LastEventID: "4"},
			func(h http.Header) { s.header = append(s.header, h) },
			func(e transport.PeerEvent) { s.events = append(s.events, e) })
		s.done <- subscribed{stop, err}
	}()
	require.Equal(t, []string{`{"i":"1","p":{"u":"/subscribe","b":{},"h":{"last-event-id":"4"}}}`}, box.take())
	receive(t, p, answers...)
	return s
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := subscribe(t,
			`{"i":"1","t":3,"p":{"e":"message","d":{"json":"too early"}}}`,
			streamOpens,
			`{"i":"1","t":3,"p":{"e":"message","d":{"json":{"n":1}},"m":{"id":"6","retry":1500,"comments":["c"]}}}`,
			`{"i":"1","t":3,"p":{"e":"message","m":{"id":"7"}}}`,
			`{"i":"1","t":3,"p":{"e":"whatever","d":{"json":2}}}`,
			`{"i":"2","t":3,"p":{"e":"message","d":{"json":"of another stream"}}}`,
		)
		sub := <-s.done
		require.NoError(t, sub.err)
		require.Equal(t, "5", s.header[0].Get("X-Position"))
		require.Len(t, s.events, 2)
		require.Equal(t, rpc.EventMeta{ID: "6", Retry: 1500 * time.Millisecond, Comments: []string{"c"}}, s.events[0].Meta)
		var value map[string]int
		require.NoError(t, s.events[0].Value.Decode(&value))
		require.Equal(t, map[string]int{"n": 1}, value)
		require.Equal(t, "message", s.events[1].Kind)
		require.False(t, s.events[1].HasValue)
		require.True(t, s.events[1].Value.IsUndefined())

		sub.stop()
		require.Equal(t, []string{`{"i":"1","t":4}`}, s.box.take())
		receive(t, s.peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":3}}}`)
		require.Len(t, s.events, 2, "no event follows stop")
		sub.stop()
		require.Empty(t, s.box.take())
	})
}

func TestSubscribeEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		last   string
		broken bool // the message cannot be read
		kind   string
		code   rpc.Code // of an error
		aborts bool     // stop sends an abort
	}{
		"done":                  {last: `{"i":"1","t":3,"p":{"e":"done","d":{"json":"r"}}}`, kind: "done"},
		"error":                 {last: `{"i":"1","t":3,"p":{"e":"error","d":{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"m"}}}}`, kind: "error", code: rpc.CodeConflict},
		"error without data":    {last: `{"i":"1","t":3,"p":{"e":"error"}}`, kind: "error"},
		"error with a value":    {last: `{"i":"1","t":3,"p":{"e":"error","d":{"json":1}}}`, kind: "error"},
		"done without a value":  {last: `{"i":"1","t":3,"p":{"e":"done","d":null}}`, kind: "error", aborts: false},
		"done that is broken":   {last: `{"i":"1","t":3,"p":{"e":"done","m":{"retry":-1}}}`, broken: true, kind: "error"},
		"error that is broken":  {last: `{"i":"1","t":3,"p":{"e":"error","d":null}}`, kind: "error"},
		"error, broken as JSON": {last: `{"i":"1","t":3,"p":{"e":"error","d":}}`, broken: true, kind: "error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := subscribe(t, streamOpens)
				sub := <-s.done
				require.NoError(t, sub.err)
				err := s.peer.Receive([]byte(test.last), false)
				require.Equal(t, test.broken, err != nil)
				receive(t, s.peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":"more"}}}`)
				require.Len(t, s.events, 1, "nothing follows the end")
				require.Equal(t, test.kind, s.events[0].Kind)
				require.Equal(t, test.kind == "error", s.events[0].Err != nil)
				if test.code != "" {
					require.Equal(t, test.code, rpc.CodeOf(s.events[0].Err))
				}
				s.box.take()
				sub.stop()
				require.Equal(t, test.aborts, len(s.box.take()) == 1)
			})
		})
	}
}

// An event that cannot be read does not end the stream: its place in the order is kept,
// and its id, if there is one, is known.
func TestSubscribeSkipsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message string
		id      string
		broken  bool // the message cannot be read
	}{
		"no value":              {`{"i":"1","t":3,"p":{"e":"message","d":null,"m":{"id":"7"}}}`, "7", false},
		"meta that is no JSON":  {`{"i":"1","t":3,"p":{"e":"message","d":{"json":1,"meta":[},"m":{"id":"7"}}}`, "", true},
		"metadata":              {`{"i":"1","t":3,"p":{"e":"message","d":{"json":1},"m":{"id":"7","retry":-1}}}`, "7", true},
		"an id of another type": {`{"i":"1","t":3,"p":{"e":"message","d":{"json":1},"m":{"id":7}}}`, "", true},
		"a kind of no type":     {`{"i":"1","t":3,"p":{"e":1,"m":{"id":"7"}}}`, "7", true},
		"no payload":            {`{"i":"1","t":3}`, "", true},
		"no JSON":               {`{"i":"1","t":3,"p":{"e":"message","d":{"json":oops},"m":{"id":"7"}}}`, "7", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := subscribe(t, streamOpens)
				sub := <-s.done
				require.NoError(t, sub.err)
				err := s.peer.Receive([]byte(test.message), false)
				require.Equal(t, test.broken, err != nil)
				receive(t, s.peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":"more"}}}`)
				require.Len(t, s.events, 2)
				require.Equal(t, "unreadable", s.events[0].Kind)
				require.Equal(t, test.id, s.events[0].Meta.ID)
				require.Error(t, s.events[0].Err)
				require.Equal(t, "message", s.events[1].Kind)
			})
		})
	}
}

// A message that cannot be read may have been an event, or the answer to any call.
func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := subscribe(t, streamOpens)
		sub := <-s.done
		require.NoError(t, sub.err)
		failed := make(chan error, 1)
		go func() {
			_, err := s.peer.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
			failed <- err
		}()
		synctest.Wait()
		cause := errors.New("too large")
		s.peer.Refuse(cause)
		require.ErrorIs(t, <-failed, cause)
		receive(t, s.peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":"more"}}}`)
		require.Len(t, s.events, 2)
		require.Equal(t, "unreadable", s.events[0].Kind)
		require.ErrorIs(t, s.events[0].Err, cause)
	})
}

func TestSubscribeRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer string
		code   rpc.Code // "" is a local error
	}{
		"error":                  {`{"i":"1","p":{"s":401,"b":{"json":{"defined":false,"code":"UNAUTHORIZED","status":401,"message":"m"}}}}`, rpc.CodeUnauthorized},
		"no procedure":           {`{"i":"1","p":{"s":404,"b":"No procedure matched"}}`, rpc.CodeNotFound},
		"no stream":              {`{"i":"1","p":{"b":{}}}`, ""},
		"stream with bad status": {`{"i":"1","p":{"s":503,"h":{"content-type":"text/event-stream"}}}`, rpc.CodeServiceUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := subscribe(t, test.answer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":1}}}`)
				sub := <-s.done
				require.Nil(t, sub.stop)
				var e *rpc.Error
				require.Equal(t, test.code != "", errors.As(sub.err, &e), "%v", sub.err)
				if e != nil {
					require.Equal(t, test.code, e.Code)
				}
				require.Error(t, sub.err)
				require.Empty(t, s.header)
				require.Empty(t, s.events)
			})
		})
	}
}

func TestSubscribeDisconnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waiting := subscribe(t)
		waiting.peer.Disconnect(errors.New("cable cut"))
		require.ErrorIs(t, (<-waiting.done).err, rpc.ErrDisconnected)

		open := subscribe(t, streamOpens)
		sub := <-open.done
		open.peer.Disconnect(nil)
		receive(t, open.peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":1}}}`)
		sub.stop()
		require.Empty(t, open.box.take())
		require.Empty(t, open.events, "there is nothing to tell but that the socket is gone, which its owner knows")
	})
}

func TestSubscribeCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		never := func(http.Header) { t.Error("opened") }
		_, err := p.Subscribe(ctx, &rpc.Call{Path: []string{"subscribe"}}, never, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, box.take(), 2, "request and abort")
		receive(t, p, streamOpens)
	})
}
