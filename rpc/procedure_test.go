package rpc_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	group := rpc.Group("users")
	tests := map[string]rpc.Method{
		"ping":       rpc.Define[rpc.Void, rpc.Void]("ping"),
		"users":      group,
		"users.find": rpc.DefineIn[rpc.Void, rpc.Void](group, "find"),
		"a.b.c":      rpc.Define[rpc.Void, rpc.Void]("a.b.c"),
		"any name":   rpc.Name("any name"),
	}
	for want, method := range tests {
		require.Equal(t, want, method.Path())
	}
	require.Equal(t, "users.find", rpc.DefineIn[rpc.Void, rpc.Void](group, "find").Handler(nothing).Path())
}

func TestBadContractsPanic(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]func(){
		"empty path":         func() { rpc.Define[rpc.Void, rpc.Void]("") },
		"empty name":         func() { rpc.Define[rpc.Void, rpc.Void]("a..b") },
		"empty group":        func() { rpc.Group("") },
		"group with a dot":   func() { rpc.Group("a.b") },
		"unknown method":     func() { rpc.WithMethod(http.MethodHead) },
		"empty method":       func() { rpc.WithMethod("") },
		"same path twice":    func() { rpc.NewRouter(ping.Handler(pong), ping.Handler(pong)) },
		"procedure as group": func() { rpc.NewRouter(ping.Handler(pong), rpc.Define[rpc.Void, rpc.Void]("nested").Handler(nothing)) },
		"serializers clash": func() {
			one := value.JSONSerializer(30, func(int) (any, error) { return nil, nil }, func(any) (int, error) { return 0, nil })
			rpc.NewHandler(rpc.NewRouter(), &rpc.HandlerOptions{Serializers: []value.Serializer{one, one}})
		},
	} {
		t.Run(name, func(t *testing.T) { require.Panics(t, fn) })
	}
	require.NotPanics(t, func() {
		rpc.NewRouter(rpc.Define[rpc.Void, rpc.Void]("a").Handler(nothing), rpc.Define[rpc.Void, rpc.Void]("ab").Handler(nothing))
	})
}

func pong(context.Context, rpc.Void) (string, error) { return "pong", nil }

func TestRouterFindsProcedures(t *testing.T) {
	t.Parallel()
	router := fixtureRouter()
	tests := map[string]struct {
		path []string
		has  bool
	}{
		"procedure":      {[]string{"echo"}, true},
		"nested":         {[]string{"nested", "ping"}, true},
		"group":          {[]string{"nested"}, false},
		"dotted name":    {[]string{"nested.ping"}, false},
		"below":          {[]string{"echo", "x"}, false},
		"empty":          {nil, false},
		"empty name":     {[]string{""}, false},
		"prototype name": {[]string{"__proto__"}, false},
		"other case":     {[]string{"Echo"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.has, router.Has(test.path))
			_, err := router.Call(t.Context(), &rpc.Call{Path: test.path})
			require.Equal(t, test.has, rpc.CodeOf(err) != rpc.CodeNotFound)
		})
	}
}

func TestInputsOfCallsInProcess(t *testing.T) {
	t.Parallel()
	p := rpc.Define[int, int]("p")
	router := rpc.NewRouter(p.Handler(func(_ context.Context, in int) (int, error) { return in + 1, nil }), ping.Handler(pong))
	encoded, err := new(serializer.Serializer).Value([]byte(`{"json":7}`))
	require.NoError(t, err)

	tests := map[string]struct {
		path []string
		in   any
		out  any
		code rpc.Code
	}{
		"typed":                {[]string{"p"}, 7, 8, ""},
		"encoded":              {[]string{"p"}, encoded, 8, ""},
		"missing":              {[]string{"p"}, nil, nil, rpc.CodeBadRequest},
		"of another type":      {[]string{"p"}, "7", nil, rpc.CodeInternalServerError},
		"nothing for void":     {[]string{"nested", "ping"}, nil, "pong", ""},
		"void":                 {[]string{"nested", "ping"}, rpc.Void{}, "pong", ""},
		"something for a void": {[]string{"nested", "ping"}, 7, "pong", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := router.Call(t.Context(), &rpc.Call{Path: test.path, Input: test.in})
			require.Equal(t, test.code, rpc.CodeOf(err))
			if err == nil {
				require.Equal(t, test.out, out)
			}
		})
	}
}

// A nil input arrives as nil, also without a network.
func TestNilInputs(t *testing.T) {
	t.Parallel()
	for name, caller := range map[string]rpc.Caller{
		"in process": fixtureRouter(), "over HTTP": rpc.NewLink(serve(t, fixtureRouter(), nil), nil),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := echo.Call(t.Context(), caller, nil)
			require.NoError(t, err)
			require.Nil(t, out)
			out, err = echo.Call(t.Context(), caller, value.Undefined{})
			require.NoError(t, err)
			require.Equal(t, value.Undefined{}, out)
		})
	}
}

func TestAnOutputOfAnotherType(t *testing.T) {
	t.Parallel()
	caller := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { return 7, nil })
	_, err := ping.Call(t.Context(), caller, rpc.Void{})
	require.ErrorContains(t, err, "rpc: nested.ping: output is a int, not a string")
}

func TestCallOptions(t *testing.T) {
	t.Parallel()
	var seen *rpc.Call
	caller := rpc.NewCaller(func(_ context.Context, call *rpc.Call) (any, error) {
		seen = call
		call.ResponseHeader = http.Header{"X-Answer": {"1"}}
		return "pong", nil
	})
	given := &rpc.Call{Path: []string{"p"}, Header: http.Header{"X-A": {"0"}}}
	var header http.Header
	_, err := caller.Call(t.Context(), given, rpc.WithHeader("x-a", "1"), rpc.WithLastEventID("7"), rpc.WithResponseHeader(&header))
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, seen.Header.Values("X-A"))
	require.Equal(t, "7", seen.LastEventID)
	require.Equal(t, "1", header.Get("X-Answer"))
	require.Equal(t, http.Header{"X-A": {"0"}}, given.Header, "the caller's own is not changed")
	require.Equal(t, header, given.ResponseHeader)

	given.Header = nil
	failing := rpc.NewCaller(func(_ context.Context, call *rpc.Call) (any, error) {
		require.NotNil(t, call.Header)
		return nil, io.EOF
	})
	_, err = failing.Call(t.Context(), given, rpc.WithResponseHeader(&header))
	require.ErrorIs(t, err, io.EOF)
	require.Nil(t, header, "there was no answer")
}

func TestProceduresRunSideBySide(t *testing.T) {
	t.Parallel()
	meet := make(chan struct{})
	p := rpc.Define[bool, rpc.Void]("p")
	link := rpc.NewLink(serve(t, rpc.NewRouter(p.Handler(func(_ context.Context, first bool) (rpc.Void, error) {
		if first {
			meet <- struct{}{}
		} else {
			<-meet
		}
		return rpc.Void{}, nil
	})), nil), nil)
	done := make(chan error)
	go func() {
		_, err := p.Call(t.Context(), link, true)
		done <- err
	}()
	_, err := p.Call(t.Context(), link, false)
	require.NoError(t, err)
	require.NoError(t, <-done)
}
