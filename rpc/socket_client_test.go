package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestClientPeerRequests(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		call *rpc.Call
		opts []rpc.CallOption
		want string
	}{
		"void":          {&rpc.Call{Path: []string{"ping"}, Input: rpc.Void{}}, nil, `{"i":"1","p":{"u":"/ping","b":{}}}`},
		"undefined":     {&rpc.Call{Path: []string{"ping"}, Input: value.Undefined{}}, nil, `{"i":"1","p":{"u":"/ping","b":{}}}`},
		"null":          {&rpc.Call{Path: []string{"ping"}}, nil, `{"i":"1","p":{"u":"/ping","b":{"json":null}}}`},
		"native type":   {&rpc.Call{Path: []string{"ping"}, Input: time.UnixMilli(0).UTC()}, nil, `{"i":"1","p":{"u":"/ping","b":{"json":"1970-01-01T00:00:00.000Z","meta":[[1]]}}}`},
		"path encoded":  {&rpc.Call{Path: []string{"a b", "é/!"}, Input: 1}, nil, `{"i":"1","p":{"u":"/a%20b/%C3%A9%2F!","b":{"json":1}}}`},
		"GET is POST":   {&rpc.Call{Path: []string{"ping"}, Method: http.MethodGet, Input: 1}, nil, `{"i":"1","p":{"u":"/ping","b":{"json":1}}}`},
		"last event id": {&rpc.Call{Path: []string{"ping"}, Input: 1}, []rpc.CallOption{rpc.WithLastEventID("7")}, `{"i":"1","p":{"u":"/ping","b":{"json":1},"h":{"last-event-id":"7"}}}`},
		"headers": {
			&rpc.Call{Path: []string{"ping"}, Input: 1, Header: http.Header{"Content-Type": {"a/b"}, "Content-Disposition": {"inline"}, "X-A": {"1"}}},
			[]rpc.CallOption{rpc.WithHeader("X-A", "2")}, `{"i":"1","p":{"u":"/ping","b":{"json":1},"h":{"x-a":["1","2"]}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newClient(t, transport.ClientPeerOptions{})
				done := start(t.Context(), p, test.call, test.opts...)
				require.Equal(t, []string{test.want}, box.take())
				receive(t, p, `{"i":"1","p":{}}`)
				require.NoError(t, (<-done).err)
			})
		})
	}
}

func TestClientPeerAnswers(t *testing.T) {
	t.Parallel()
	coded := func(code rpc.Code, status int) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			t.Helper()
			var e *rpc.Error
			require.ErrorAs(t, o.err, &e)
			require.Equal(t, code, e.Code)
			require.Equal(t, status, e.Status)
		}
	}
	broken := func(t *testing.T, o outcome) {
		t.Helper()
		require.Error(t, o.err)
		var e *rpc.Error
		require.NotErrorAs(t, o.err, &e, "no server has sent this error")
		require.NotErrorIs(t, o.err, rpc.ErrDisconnected)
	}
	body := func(code rpc.Code, status int, want any) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			t.Helper()
			coded(code, status)(t, o)
			data, err := rpc.ErrorData[rpc.ErrorResponse](o.err)
			require.NoError(t, err)
			require.Equal(t, status, data.Status)
			require.Equal(t, want, data.Body)
		}
	}
	tests := map[string]struct {
		answer string
		binary bool
		check  func(*testing.T, outcome)
	}{
		"output":             {answer: `{"i":"1","p":{"b":{"json":"pong"}}}`, check: func(t *testing.T, o outcome) { t.Helper(); require.Equal(t, outcome{"pong", nil}, o) }},
		"binary frame":       {answer: `{"i":"1","p":{"b":{"json":"pong"}}}`, binary: true, check: func(t *testing.T, o outcome) { t.Helper(); require.Equal(t, "pong", o.out) }},
		"error":              {answer: `{"i":"1","p":{"s":409,"b":{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"m"}}}}`, check: coded(rpc.CodeConflict, 409)},
		"no procedure":       {answer: `{"i":"1","p":{"s":404,"b":"No procedure matched"}}`, check: body(rpc.CodeNotFound, 404, "No procedure matched")},
		"unknown status":     {answer: `{"i":"1","p":{"s":460,"b":"?"}}`, check: body(rpc.CodeMalformedErrorResponse, 460, "?")},
		"error without body": {answer: `{"i":"1","p":{"s":503}}`, check: coded(rpc.CodeServiceUnavailable, 503)},
		"no RPC error":       {answer: `{"i":"1","p":{"s":500,"b":{"json":{"code":"X","extra":1}}}}`, check: coded(rpc.CodeInternalServerError, 500)},
		"error, bad body":    {answer: `{"i":"1","p":{"s":500,"b":null}}`, check: coded(rpc.CodeInternalServerError, 500)},
		"error with a file":  {answer: "{\"i\":\"1\",\"p\":{\"s\":502,\"h\":{\"content-disposition\":\"inline\"}}}\xfftext", binary: true, check: body(rpc.CodeBadGateway, 502, "text")},
		"file":               {answer: "{\"i\":\"1\",\"p\":{\"h\":{\"content-disposition\":\"inline\"}}}\xfftext", binary: true, check: broken},
		"other type":         {answer: `{"i":"1","p":{"b":{"json":1}}}`, check: broken},
		"bad body":           {answer: `{"i":"1","p":{"b":null}}`, check: broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := newClient(t, transport.ClientPeerOptions{})
				done := start(t.Context(), p, pingCall())
				synctest.Wait()
				require.NoError(t, p.Receive([]byte(test.answer), test.binary))
				test.check(t, <-done)
			})
		})
	}
}

func TestClientPeerFailsTheCallWhoseAnswerIsUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		first, second := start(t.Context(), p, pingCall()), start(t.Context(), p, pingCall())
		require.Len(t, box.take(), 2)
		require.Error(t, p.Receive([]byte(`{"i":"1","p":{"s":"x"}}`), false))
		require.Error(t, p.Receive([]byte(`{`), false))
		receive(t, p, `{"i":"2","p":{"b":{"json":"pong"}}}`, `{"i":"3","p":{}}`, `{"i":"3","t":3,"p":{"e":"message"}}`)
		outcomes := []outcome{<-first, <-second}
		if outcomes[0].err == nil {
			outcomes[0], outcomes[1] = outcomes[1], outcomes[0]
		}
		require.Error(t, outcomes[0].err)
		require.Equal(t, outcome{"pong", nil}, outcomes[1])
	})
}

func TestClientPeerGivesTheHeaderOfTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := newClient(t, transport.ClientPeerOptions{})
		call := pingCall()
		var header http.Header
		done := start(t.Context(), p, call, rpc.WithResponseHeader(&header))
		synctest.Wait()
		receive(t, p, `{"i":"1","p":{"h":{"x-a":"1"},"b":{"json":"pong"}}}`)
		require.NoError(t, (<-done).err)
		require.Equal(t, http.Header{"X-A": {"1"}}, header)
		require.Equal(t, header, call.ResponseHeader)
	})
}

func TestClientPeerAborts(t *testing.T) {
	t.Parallel()
	reason := errors.New("my reason")
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		ctx, cancel := context.WithCancelCause(t.Context())
		done := start(ctx, p, pingCall())
		require.Len(t, box.take(), 1)
		cancel(reason)
		o := <-done
		require.ErrorIs(t, o.err, reason)
		require.ErrorIs(t, o.err, context.Canceled)
		require.NotErrorIs(t, o.err, rpc.ErrDisconnected)
		require.Equal(t, []string{`{"i":"1","t":4}`}, box.take())
		receive(t, p, `{"i":"1","p":{"b":{"json":"late"}}}`)

		_, err := p.Call(ctx, pingCall())
		require.ErrorIs(t, err, reason)
		require.Empty(t, box.take(), "a call that has ended before is not sent")
	})
}

func TestClientPeerDoesNotWaitForAStuckSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck, box := make(chan struct{}), &outbox{}
		p, _ := newClient(t, transport.ClientPeerOptions{Send: func(ctx context.Context, m []byte, binary bool) error {
			<-stuck
			return box.send(ctx, m, binary)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Call(ctx, pingCall())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(stuck)
		require.Equal(t, []string{`{"i":"1","p":{"u":"/nested/ping","b":{}}}`, `{"i":"1","t":4}`}, box.take(), "the abort follows the request")
	})
}

type ctxKey struct{}

func TestClientPeerSendContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		contexts := make(chan context.Context, 1)
		p, _ := newClient(t, transport.ClientPeerOptions{Send: func(ctx context.Context, _ []byte, _ bool) error {
			contexts <- ctx
			<-ctx.Done()
			return ctx.Err()
		}})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "v"))
		done := start(ctx, p, pingCall())
		sending := <-contexts
		require.Equal(t, "v", sending.Value(ctxKey{}))
		cancel()
		require.Error(t, (<-done).err)
		require.NoError(t, sending.Err(), "the end of a call does not end what is sent for it")

		derived, stop := context.WithCancel(sending)
		defer stop()
		cause := errors.New("cable cut")
		done = start(t.Context(), p, pingCall()) // waits behind the first
		synctest.Wait()
		p.Disconnect(cause)
		require.ErrorIs(t, context.Cause(derived), cause)
		require.ErrorIs(t, (<-done).err, cause)
		p.Close(nil)
	})
}

func TestClientPeerDisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		first, second := start(t.Context(), p, pingCall()), start(t.Context(), p, pingCall())
		require.Len(t, box.take(), 2)
		cause := errors.New("cable cut")
		p.Disconnect(cause)
		for _, done := range []<-chan outcome{first, second} {
			o := <-done
			require.ErrorIs(t, o.err, rpc.ErrDisconnected)
			require.ErrorIs(t, o.err, cause)
			var e *rpc.Error
			require.NotErrorAs(t, o.err, &e)
		}
		third := start(t.Context(), p, pingCall())
		require.Equal(t, []string{`{"i":"3","p":{"u":"/nested/ping","b":{}}}`}, box.take(), "ids run on, and nothing else is sent")
		receive(t, p, `{"i":"1","p":{"b":{"json":"late"}}}`, `{"i":"3","p":{"b":{"json":"pong"}}}`)
		require.Equal(t, outcome{"pong", nil}, <-third)

		p.Disconnect(nil)
		p.Close(errors.New("done"))
		_, err := p.Call(t.Context(), pingCall())
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.Empty(t, box.take())
	})
}

func TestClientPeerSendFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("no socket")
	p := transport.NewClientPeer(&transport.ClientPeerOptions{Send: func(context.Context, []byte, bool) error { return failure }})
	_, err := p.Call(t.Context(), pingCall())
	require.ErrorIs(t, err, rpc.ErrDisconnected)
	require.ErrorIs(t, err, failure)
	p.Close(nil)
}

func TestClientPeerIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		for n := 1; n <= 40; n++ {
			ctx, cancel := context.WithCancel(t.Context())
			done := start(ctx, p, pingCall())
			require.Contains(t, box.take()[0], `"i":"`+strconv.FormatInt(int64(n), 36)+`"`)
			cancel()
			<-done
			box.take()
		}
	})
}

func TestClientPeerRetriesOverADisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		done := start(t.Context(), p, pingCall(), rpc.Retry{Max: 1, If: func(err error) bool { return errors.Is(err, rpc.ErrDisconnected) }})
		first := box.take()
		require.Len(t, first, 1)
		require.Regexp(t, `^{"i":"1","p":{"u":"/nested/ping","b":{},"h":{"idempotency-key":"[A-Z2-7]{26}"}}}$`, first[0])
		p.Disconnect(nil)
		before := time.Now()
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{strings.Replace(first[0], `"i":"1"`, `"i":"2"`, 1)}, box.take(), "but for its id it is the same call")
		receive(t, p, `{"i":"2","p":{"b":{"json":"pong"}}}`)
		require.Equal(t, outcome{"pong", nil}, <-done)
		require.Equal(t, 2*time.Second, time.Since(before))
	})
}

func TestClientPeerInterceptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{Interceptors: []rpc.Interceptor{
			rpc.OnStart(func(_ context.Context, call *rpc.Call) { call.Header.Set("X-Trace", "t") }),
		}})
		done := start(t.Context(), p, pingCall())
		require.Equal(t, []string{`{"i":"1","p":{"u":"/nested/ping","b":{},"h":{"x-trace":"t"}}}`}, box.take())
		p.Disconnect(nil)
		require.Error(t, (<-done).err)
	})
}

func TestClientPeerCallOfAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		done := start(t.Context(), p, pingCall())
		require.Len(t, box.take(), 1)
		receive(t, p, `{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}`)
		require.Error(t, (<-done).err)
		require.Equal(t, []string{`{"i":"1","t":4}`}, box.take(), "nobody would read it")
	})
}

func TestNewClientPeerPanics(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { transport.NewClientPeer(&transport.ClientPeerOptions{}) })
}
