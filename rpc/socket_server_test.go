package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// shout answers with its input.
func shout(_ context.Context, call *rpc.Call) (any, error) {
	call.ResponseHeader.Set("X-Method", call.Method)
	return map[string]any{"path": call.Path, "input": call.Input, "last": call.LastEventID, "header": call.Header.Get("X-A")}, nil
}

func routed(r *rpc.Router) rpc.CallFunc {
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		if !r.Has(call.Path) {
			return nil, rpc.ErrNoProcedure
		}
		return r.Serve(ctx, call)
	}
}

const (
	noProcedure = `"s":404,"b":"No procedure matched"`
	malformed   = `"s":400,"b":{"json":{"defined":false,"code":"BAD_REQUEST","status":400,"message":"Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set correctly."}}`
	unsupported = `"s":415,"b":{"json":{"defined":false,"code":"UNSUPPORTED_MEDIA_TYPE","status":415,"message":"Unsupported Media Type"}}`
	internal    = `"s":500,"b":{"json":{"defined":false,"code":"INTERNAL_SERVER_ERROR","status":500,"message":"Internal server error"}}`
)

func TestServerPeerAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ request, answer string }{
		"output":                      {`{"i":"1","p":{"u":"/nested/ping","b":{}}}`, `{"i":"1","p":{"b":{"json":"pong"}}}`},
		"void":                        {`{"i":"1","p":{"u":"/sendMessage","b":{"json":{"message":"m"}}}}`, `{"i":"1","p":{"b":{}}}`},
		"number as id":                {`{"i":7,"p":{"u":"/nested/ping"}}`, `{"i":7,"p":{"b":{"json":"pong"}}}`},
		"no id":                       {`{"p":{"u":"/nested/ping"}}`, `{"p":{"b":{"json":"pong"}}}`},
		"whole address":               {`{"i":"1","p":{"u":"https://a.b:1/nested/ping"}}`, `{"i":"1","p":{"b":{"json":"pong"}}}`},
		"trailing slash":              {`{"i":"1","p":{"u":"/nested/ping/"}}`, `{"i":"1","p":{"b":{"json":"pong"}}}`},
		"two trailing slashes":        {`{"i":"1","p":{"u":"/nested/ping//"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"unknown path":                {`{"i":"1","p":{"u":"/nope"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"group":                       {`{"i":"1","p":{"u":"/nested"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"no path":                     {`{"i":"1","p":{"u":"/"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"needless escape":             {`{"i":"1","p":{"u":"/nested/pin%67"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"dot in a segment":            {`{"i":"1","p":{"u":"/nested.ping"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"escape that is no text":      {`{"i":"1","p":{"u":"/%FF"}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"unknown path, bad body":      {`{"i":"1","p":{"u":"/ne%73ted/ping","b":null}}`, `{"i":"1","p":{` + noProcedure + `}}`},
		"GET, last data counts":       {`{"i":"1","p":{"u":"/readable?data={}&data=%7B%22json%22%3A%22x%22%7D","m":"GET"}}`, `{"i":"1","p":{"b":{"json":{"got":"x"}}}}`},
		"GET of any procedure":        {`{"i":"1","p":{"u":"/nested/ping","m":"GET"}}`, `{"i":"1","p":{"b":{"json":"pong"}}}`},
		"GET ignores the body":        {`{"i":"1","p":{"u":"/echo","b":{"json":1},"m":"GET"}}`, `{"i":"1","p":{"b":{}}}`},
		"other method":                {`{"i":"1","p":{"u":"/echo","b":{"json":1},"m":"DELETE"}}`, `{"i":"1","p":{"b":{"json":1}}}`},
		"native types":                {`{"i":"1","p":{"u":"/echo","b":{"json":["7",null],"meta":[[0,0],[3,1]]}}}`, `{"i":"1","p":{"b":{"json":["7",null],"meta":[[0,0],[3,1]]}}}`},
		"last event id":               {`{"i":"1","p":{"u":"/lastEventId","h":{"last-event-id":["5","6"]}}}`, `{"i":"1","p":{"b":{"json":"5, 6"}}}`},
		"declared error":              {`{"i":"1","p":{"u":"/fail","b":{"json":{"kind":"defined"}}}}`, `{"i":"1","p":{"s":418,"b":{"json":{"defined":true,"code":"TEAPOT","status":418,"message":"I am a teapot","data":{"kind":"green"}}}}}`},
		"error with native types":     {`{"i":"1","p":{"u":"/fail","b":{"json":{"kind":"orpc"}}}}`, `{"i":"1","p":{"s":409,"b":{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"already there","data":{"id":"7","at":"2024-01-02T03:04:05.678Z"}},"meta":[[0,"data","id"],[1,"data","at"]]}}}`},
		"hidden error":                {`{"i":"1","p":{"u":"/fail","b":{"json":{"kind":"plain"}}}}`, `{"i":"1","p":{` + internal + `}}`},
		"body null":                   {`{"i":"1","p":{"u":"/echo","b":null}}`, `{"i":"1","p":{` + malformed + `}}`},
		"bad meta":                    {`{"i":"1","p":{"u":"/echo","b":{"json":1,"meta":[[1,"__proto__"]]}}}`, `{"i":"1","p":{` + malformed + `}}`},
		"bad data in the query":       {`{"i":"1","p":{"u":"/readable?data={","m":"GET"}}`, `{"i":"1","p":{` + malformed + `}}`},
		"body that is a bare text":    {`{"i":"1","p":{"u":"/echo","b":"x"}}`, `{"i":"1","p":{"b":{}}}`},
		"parameters":                  {`{"i":"1","p":{"u":"/echo","b":"a=b","h":{"content-type":"application/x-www-form-urlencoded"}}}`, `{"i":"1","p":{` + unsupported + `}}`},
		"stream of events as input":   {`{"i":"1","p":{"u":"/echo","h":{"content-type":"text/event-stream"}}}`, `{"i":"1","p":{` + unsupported + `}}`},
		"other type with a JSON body": {`{"i":"1","p":{"u":"/echo","b":{"json":1},"h":{"content-type":"text/plain"}}}`, `{"i":"1","p":{"b":{"json":1}}}`},
		"no payload":                  {`{"i":"1"}`, `{"i":"1","p":{` + malformed + `}}`},
		"address without slash":       {`{"i":"1","p":{"u":"a"}}`, `{"i":"1","p":{` + malformed + `}}`},
		"form without bytes":          {`{"i":"1","p":{"u":"/echo","h":{"content-type":"multipart/form-data; boundary=x"}}}`, `{"i":"1","p":{` + malformed + `}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: routed(fixtureRouter())})
				receive(t, p, test.request)
				sent := box.take()
				require.NotEmpty(t, sent)
				require.Equal(t, test.answer, sent[0])
			})
		})
	}
}

func TestServerPeerRefusesFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newServer(t, transport.ServerPeerOptions{Handle: routed(fixtureRouter())})
		require.NoError(t, p.Receive([]byte("{\"i\":\"1\",\"p\":{\"u\":\"/echo\",\"h\":{\"content-disposition\":\"inline\"}}}\xffcontent"), true))
		require.Equal(t, []string{`{"i":"1","p":{` + unsupported + `}}`}, box.take())
	})
}

func TestServerPeerHandsOverTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newServer(t, transport.ServerPeerOptions{Handle: shout})
		receive(t, p, `{"i":"1","p":{"u":"/a%20b/%C3%A9%2F!?x=y","b":{"json":1},"h":{"x-a":"v","last-event-id":"9"},"m":"PUT"}}`)
		require.Equal(t, []string{
			`{"i":"1","p":{"h":{"x-method":"PUT"},"b":{"json":{"header":"v","input":1,"last":"9","path":["a b","é/!"]}}}}`,
		}, box.take())
	})
}

func TestServerPeerOwnsTheHeadersOfTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newServer(t, transport.ServerPeerOptions{Handle: func(_ context.Context, call *rpc.Call) (any, error) {
			call.ResponseHeader.Set("Content-Type", "text/event-stream")
			call.ResponseHeader.Set("Content-Disposition", "inline")
			call.ResponseHeader.Set("X-Own", "1")
			return 1, nil
		}})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
		require.Equal(t, []string{`{"i":"1","p":{"h":{"x-own":"1"},"b":{"json":1}}}`}, box.take())
	})
}

func TestServerPeerSurvivesHandlers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handle rpc.CallFunc
		answer string
	}{
		"panic":           {func(context.Context, *rpc.Call) (any, error) { panic("secret") }, internal},
		"goroutine ended": {func(context.Context, *rpc.Call) (any, error) { runtime.Goexit(); return nil, nil }, internal},
		"file ends it": {func(context.Context, *rpc.Call) (any, error) {
			return value.NewFileFunc("", "", 1, func() (io.ReadCloser, error) { runtime.Goexit(); return nil, io.EOF }), nil
		}, internal},
		"output unfit":      {func(context.Context, *rpc.Call) (any, error) { return make(chan int), nil }, internal},
		"error data unfit":  {func(context.Context, *rpc.Call) (any, error) { return nil, &rpc.Error{Code: "X", Data: func() {}} }, internal},
		"status no error":   {func(context.Context, *rpc.Call) (any, error) { return nil, &rpc.Error{Code: "X", Status: 204} }, internal},
		"status below zero": {func(context.Context, *rpc.Call) (any, error) { return nil, &rpc.Error{Code: "X", Status: -1} }, `"s":500,"b":{"json":{"defined":false,"code":"X","status":-1,"message":"X"}}`},
		"wrapped 404": {func(context.Context, *rpc.Call) (any, error) {
			return nil, errors.Join(rpc.ErrNoProcedure, errors.New("x"))
		}, noProcedure},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: test.handle})
				receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
				require.Equal(t, []string{`{"i":"1","p":{` + test.answer + `}}`}, box.take())
				receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
				require.Len(t, box.take(), 1, "the id is free again")
			})
		})
	}
}

func TestServerPeerReportsWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON": `hello`, "empty": ``, "null": `null`, "no id": `{"p":{"u":"a"}}`, "id too long": `{"i":"` + strings.Repeat("x", 65) + `","p":{"u":"/a"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: shout})
				require.Error(t, p.Receive([]byte(text), false))
				require.Empty(t, box.take())
				receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
				require.Len(t, box.take(), 1, "the peer stays usable")
			})
		})
	}
}

// blocked is a handler whose calls run until their context ends or release is closed.
type blocked struct {
	release chan struct{}
	started chan struct{} // a value per call
	ended   chan error    // the cause, per call whose context has ended
}

func newBlocked() *blocked {
	return &blocked{release: make(chan struct{}), started: make(chan struct{}, 1000), ended: make(chan error, 100)}
}

func (b *blocked) handle(ctx context.Context, _ *rpc.Call) (any, error) {
	b.started <- struct{}{}
	select {
	case <-b.release:
		return "released", nil
	case <-ctx.Done():
		b.ended <- context.Cause(ctx)
		return nil, ctx.Err()
	}
}

func TestServerPeerIgnoresAnIDInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		p, box := newServer(t, transport.ServerPeerOptions{Handle: b.handle})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`, `{"i":"1","p":{"u":"/a"}}`)
		require.Error(t, p.Receive([]byte(`{"i":"1","p":{"u":"no address"}}`), false))
		require.Empty(t, box.take())
		close(b.release)
		require.Equal(t, []string{`{"i":"1","p":{"b":{"json":"released"}}}`}, box.take())
	})
}

func TestServerPeerRunsCallsSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		p, box := newServer(t, transport.ServerPeerOptions{Handle: func(ctx context.Context, call *rpc.Call) (any, error) {
			if call.Path[0] == "fast" {
				return "fast", nil
			}
			return b.handle(ctx, call)
		}})
		receive(t, p, `{"i":"1","p":{"u":"/slow"}}`, `{"i":"2","p":{"u":"/fast"}}`)
		require.Equal(t, []string{`{"i":"2","p":{"b":{"json":"fast"}}}`}, box.take())
		close(b.release)
		require.Equal(t, []string{`{"i":"1","p":{"b":{"json":"released"}}}`}, box.take())
	})
}

func TestServerPeerAbort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		p, box := newServer(t, transport.ServerPeerOptions{Handle: b.handle})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`, `{"i":"2","p":{"u":"/a"}}`, `{"i":"1","t":4}`, `{"i":"unknown","t":4}`)
		require.Empty(t, box.take(), "an aborted call is not answered")
		require.Len(t, b.ended, 1)
		close(b.release)
		require.Equal(t, []string{`{"i":"2","p":{"b":{"json":"released"}}}`}, box.take(), "the others go on")
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
		require.Len(t, box.take(), 1, "the id is free again")
	})
}

func TestServerPeerClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		p, box := newServer(t, transport.ServerPeerOptions{Handle: b.handle})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`, `{"i":"2","p":{"u":"/a"}}`)
		synctest.Wait()
		p.Close()
		p.Wait()
		require.Len(t, b.ended, 2)
		require.Error(t, p.Receive([]byte(`{"i":"3","p":{"u":"/a"}}`), false))
		require.Empty(t, box.take())
	})
}

func TestServerPeerLimitsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		p, box := newServer(t, transport.ServerPeerOptions{Handle: b.handle, MaxCalls: 2})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`, `{"i":"2","p":{"u":"/a"}}`, `{"i":"3","p":{"u":"/a"}}`, `{"i":"4","p":{"u":"/a"}}`)
		require.Empty(t, box.take(), "none is refused")
		require.Len(t, b.started, 2)
		receive(t, p, `{"i":"1","t":4}`, `{"i":"4","t":4}`)
		synctest.Wait()
		require.Len(t, b.started, 3, "one has taken the place of the first")
		close(b.release)
		require.Len(t, box.take(), 2)
	})
}

// opened holds the arguments of a Hibernation's Start.
type opened struct {
	ctx    context.Context
	id     json.RawMessage
	finish func()
}

func TestServerPeerHibernation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order []string
		starts := make(chan opened, 1)
		p, _ := newServer(t, transport.ServerPeerOptions{
			Handle: func(_ context.Context, call *rpc.Call) (any, error) {
				call.ResponseHeader.Set("X-Position", "5")
				return transport.Hibernation{Start: func(ctx context.Context, id json.RawMessage, finish func()) {
					order = append(order, "start")
					starts <- opened{ctx, id, finish}
				}}, nil
			},
			Send: func(_ context.Context, m []byte, _ bool) error {
				order = append(order, string(m))
				return nil
			},
		})
		receive(t, p, `{"i":12,"p":{"u":"/subscribe"}}`)
		synctest.Wait()
		require.Equal(t, []string{`{"i":12,"p":{"h":{"content-type":"text/event-stream","x-position":"5"}}}`, "start"}, order)
		stream := <-starts
		require.Equal(t, "12", string(stream.id))
		require.NoError(t, stream.ctx.Err(), "the call lives on although its handler has returned")

		receive(t, p, `{"i":12,"p":{"u":"/subscribe"}}`)
		synctest.Wait()
		require.Len(t, order, 2, "the id is in use")

		stream.finish()
		require.Error(t, stream.ctx.Err())
		receive(t, p, `{"i":12,"p":{"u":"/subscribe"}}`)
		again := <-starts
		require.Len(t, order, 4, "the id is free")

		receive(t, p, `{"i":12,"t":4}`)
		require.Error(t, again.ctx.Err(), "the client has aborted")

		receive(t, p, `{"i":13,"p":{"u":"/subscribe"}}`)
		last := <-starts
		p.Close()
		p.Wait()
		require.Error(t, last.ctx.Err())
		require.Len(t, order, 6)
	})
}

func TestServerPeerDoesNotStartWhatIsNotAnnounced(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send  error
		abort bool
	}{
		"sending fails": {send: errors.New("gone")},
		"aborted":       {abort: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				started, proceed := false, make(chan struct{})
				p, _ := newServer(t, transport.ServerPeerOptions{
					Handle: func(context.Context, *rpc.Call) (any, error) {
						<-proceed
						return transport.Hibernation{Start: func(context.Context, json.RawMessage, func()) { started = true }}, nil
					},
					Send:     func(context.Context, []byte, bool) error { return test.send },
					MaxCalls: 1,
				})
				receive(t, p, `{"i":"1","p":{"u":"/subscribe"}}`)
				if test.abort {
					receive(t, p, `{"i":"1","t":4}`)
				}
				close(proceed)
				synctest.Wait()
				require.False(t, started)
			})
		})
	}
}

func TestNewServerPeerPanics(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { transport.NewServerPeer(t.Context(), &transport.ServerPeerOptions{Handle: shout}) })
	require.Panics(t, func() { transport.NewServerPeer(t.Context(), &transport.ServerPeerOptions{Send: (&outbox{}).send}) })
}
