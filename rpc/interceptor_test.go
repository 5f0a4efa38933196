package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// trace notes the way in and the way out, with the type of the input.
func trace(into *[]string, name string) rpc.Interceptor {
	return func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		kind := "typed"
		if _, encoded := call.Input.(value.Value); encoded {
			kind = "encoded"
		}
		*into = append(*into, name+" in, "+kind)
		out, err := next(ctx, call)
		*into = append(*into, name+" out")
		return out, err
	}
}

func TestOrderOfInterceptorsOnAServer(t *testing.T) {
	t.Parallel()
	var order []string
	router := rpc.NewRouter(sendMessage.Handler(
		func(context.Context, messageInput) (rpc.Void, error) {
			order = append(order, "handler")
			return rpc.Void{}, nil
		},
		trace(&order, "procedure 1"), trace(&order, "procedure 2"),
	))
	o := &rpc.HandlerOptions{
		Interceptors: append(make([]rpc.Interceptor, 0, 9), trace(&order, "own")),
		Plugins: []rpc.HandlerPlugin{
			handlerPlugin(func(o *rpc.HandlerOptions) { o.Interceptors = append(o.Interceptors, trace(&order, "plugin 1")) }),
			handlerPlugin(func(o *rpc.HandlerOptions) { o.Interceptors = append(o.Interceptors, trace(&order, "plugin 2")) }),
		},
	}
	h := rpc.NewHandler(router, o)
	rpc.NewHandler(router, &rpc.HandlerOptions{Interceptors: o.Interceptors, Plugins: []rpc.HandlerPlugin{
		handlerPlugin(func(o *rpc.HandlerOptions) {
			o.Interceptors = append(o.Interceptors, trace(&order, "of another handler"))
		}),
	}})
	require.Equal(t, 200, post(h, "/sendMessage", `{"json":{"message":"hi"}}`).Code)
	require.Equal(t, []string{
		"own in, encoded", "plugin 1 in, encoded", "plugin 2 in, encoded",
		"procedure 1 in, typed", "procedure 2 in, typed", "handler",
		"procedure 2 out", "procedure 1 out", "plugin 2 out", "plugin 1 out", "own out",
	}, order)
	require.Len(t, o.Interceptors, 1, "plugins get a copy")

	order = nil
	require.Equal(t, 400, post(h, "/sendMessage", `{"json":{}}`).Code)
	require.Equal(t, []string{
		"own in, encoded", "plugin 1 in, encoded", "plugin 2 in, encoded", "plugin 2 out", "plugin 1 out", "own out",
	}, order, "an input that is refused does not reach the procedure's")
}

type handlerPlugin func(*rpc.HandlerOptions)

func (p handlerPlugin) InitHandler(o *rpc.HandlerOptions) { p(o) }

// A caller without permission does not learn what is wrong with its request.
func TestAuthenticationComesBeforeDecoding(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 99, Interceptors: []rpc.Interceptor{
		func(_ context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) {
			require.IsType(t, value.Value{}, call.Input)
			return nil, &rpc.Error{Code: rpc.CodeUnauthorized}
		},
	}})
	for name, body := range map[string]string{
		"good": `{"json":{"message":"hi"}}`, "no JSON": "{", "not valid": "{}", "too large": string(make([]byte, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 401, post(h, "/sendMessage", body).Code)
		})
	}
	require.Equal(t, 401, request(h, "GET", "/sendMessage", "", nil).Code)
}

func TestInterceptorsSeeErrorsAsTheyWereReturned(t *testing.T) {
	t.Parallel()
	for name, returned := range map[string]error{
		"no Error": io.EOF,
		"an Error": fmt.Errorf("wrapped: %w", &rpc.Error{Code: rpc.CodeConflict}),
	} {
		t.Run(name, func(t *testing.T) {
			var seen error
			p := rpc.Define[rpc.Void, rpc.Void]("p", errTeapot)
			router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { return rpc.Void{}, returned }))
			h := rpc.NewHandler(router, &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
				rpc.OnError(func(_ context.Context, _ *rpc.Call, err error) { seen = err }),
			}})
			require.Equal(t, rpc.CodeOf(returned), errorIn(t, post(h, "/p", "{}").Body.Bytes()).Code)
			require.Equal(t, returned, seen)
		})
	}
}

func TestInterceptorsMayChangeEverything(t *testing.T) {
	t.Parallel()
	type key struct{}
	p := rpc.Define[string, string]("p")
	router := rpc.NewRouter(p.Handler(
		func(ctx context.Context, in string) (string, error) { return in + ctx.Value(key{}).(string), nil },
		func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			call.Input = call.Input.(string) + "b"
			out, err := next(context.WithValue(ctx, key{}, "c"), call)
			return out.(string) + "d", err
		},
	))
	out, err := p.Call(t.Context(), router, "a")
	require.NoError(t, err)
	require.Equal(t, "abcd", out)
}

// The interceptors of each caller in a chain can read the state. It is not sent.
func TestStateOfACallOfAClient(t *testing.T) {
	t.Parallel()
	type state struct{ seen []string }
	see := func(name string) rpc.Interceptor {
		return func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			if s, ok := call.State().(*state); ok {
				s.seen = append(s.seen, name)
			}
			return next(ctx, call)
		}
	}
	p := rpc.Define[string, string]("p")
	inner := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { return "ok", nil }, see("inner"))
	outer := rpc.NewCaller(func(ctx context.Context, call *rpc.Call) (any, error) { return inner.Call(ctx, call) }, see("outer"))
	var s state
	for _, opts := range [][]rpc.CallOption{{rpc.WithState(&s)}, {rpc.WithState(&s), rpc.WithState(nil)}, nil} {
		_, err := p.Call(t.Context(), outer, "", opts...)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"outer", "inner", "outer", "inner"}, s.seen)
}

func TestAnInputOfAWrongTypeFromAnInterceptor(t *testing.T) {
	t.Parallel()
	p := rpc.Define[string, string]("p")
	router := rpc.NewRouter(p.Handler(
		func(context.Context, string) (string, error) { return "", nil },
		rpc.OnStart(func(_ context.Context, call *rpc.Call) { call.Input = 7 }),
	))
	_, err := p.Call(t.Context(), router, "a")
	require.ErrorContains(t, err, "rpc: p: an interceptor made the input a int")
}

func TestReadyMadeInterceptors(t *testing.T) {
	t.Parallel()
	var seen []string
	note := func(what string) { seen = append(seen, what) }
	ics := []rpc.Interceptor{
		rpc.OnStart(func(context.Context, *rpc.Call) { note("start") }),
		rpc.OnSuccess(func(_ context.Context, _ *rpc.Call, out any) { note("success " + out.(string)) }),
		rpc.OnError(func(_ context.Context, _ *rpc.Call, err error) { note("error " + err.Error()) }),
		rpc.OnFinish(func(_ context.Context, _ *rpc.Call, out any, err error) {
			if err != nil {
				out = err.Error()
			}
			note("finish " + out.(string))
		}),
	}
	tests := map[string]struct {
		err  error
		want []string
	}{
		"success": {nil, []string{"start", "finish ok", "success ok"}},
		"error":   {io.EOF, []string{"start", "finish EOF", "error EOF"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen = nil
			caller := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { return "ok", test.err }, ics...)
			_, err := ping.Call(t.Context(), caller, rpc.Void{})
			require.Equal(t, test.err, err)
			require.Equal(t, test.want, seen)
		})
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	own := func(_ context.Context, _ *rpc.Call, given any) error {
		return rpc.Errorf(rpc.CodeBadGateway, "%v", given)
	}
	p := rpc.Define[rpc.Void, rpc.Void]("p")
	panics := func(context.Context, rpc.Void) (rpc.Void, error) { panic("no") }
	tests := map[string]struct {
		caller rpc.Caller
		code   rpc.Code
	}{
		"around a handler":   {rpc.NewRouter(p.Handler(panics, rpc.Recover(own))), rpc.CodeBadGateway},
		"without a function": {rpc.NewRouter(p.Handler(panics, rpc.Recover(nil))), rpc.CodeInternalServerError},
		"around a transport": {rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { panic("no") }, rpc.Recover(own)), rpc.CodeBadGateway},
		"without a panic": {rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) {
			return nil, &rpc.Error{Code: "ODD"}
		}, rpc.Recover(own)), "ODD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := p.Call(t.Context(), test.caller, rpc.Void{})
			require.Equal(t, test.code, rpc.CodeOf(err))
			if caught, ok := errors.AsType[*rpc.PanicError](err); ok {
				require.Equal(t, "no", caught.Value)
				require.NotEmpty(t, caught.Stack)
			}
		})
	}
}
