package rpc

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Router finds the handler of a call by its path. It is made once and then only
// read. A Router is a [Caller]: procedures can be called on it within the process.
type Router struct {
	routes map[string]Route // by dotted path
	caller Caller
}

// NewRouter returns a router. It panics if two routes have the same path, or if
// the path of one is a group of another's.
func NewRouter(routes ...Route) *Router {
	r := &Router{routes: make(map[string]Route, len(routes))}
	r.caller = NewCaller(r.call)
	for _, route := range routes {
		r.add(route)
	}
	return r
}

func (r *Router) add(route Route) {
	path := route.Path()
	for other := range r.routes {
		if path == other || strings.HasPrefix(path, other+".") || strings.HasPrefix(other, path+".") {
			panic(fmt.Sprintf("rpc: NewRouter: %q and %q cannot both be there", path, other))
		}
	}
	r.routes[path] = route
}

// Has reports whether there is a procedure under the path.
func (r *Router) Has(path []string) bool {
	_, ok := r.find(path)
	return ok
}

// TakesEvents reports whether there is a procedure under the path whose input is a
// stream of events.
func (r *Router) TakesEvents(path []string) bool {
	route, ok := r.find(path)
	return ok && route.TakesEvents()
}

// Call runs the procedure of call.Path in this process. The input may be of the
// procedure's type or a [value.Value]; it is checked as if it came from a client. A
// path without procedure is [CodeNotFound].
func (r *Router) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	return r.caller.Call(ctx, call, opts...)
}

// Serve runs the procedure of call.Path as [Router.Call] does, but on the call
// itself and without options: it is the [CallFunc] of a server.
func (r *Router) Serve(ctx context.Context, call *Call) (any, error) {
	route, ok := r.find(call.Path)
	if !ok {
		return nil, Errorf(CodeNotFound, "no procedure %q", strings.Join(call.Path, "."))
	}
	if call.ResponseHeader == nil {
		call.ResponseHeader = http.Header{}
	}
	return route.handle(ctx, call)
}

func (r *Router) find(path []string) (Route, bool) {
	route, ok := r.routes[strings.Join(path, ".")]
	if !ok || len(route.spec.path) != len(path) {
		return Route{}, false
	}
	return route, true
}

// call runs a procedure for a caller in this process.
func (r *Router) call(ctx context.Context, call *Call) (any, error) {
	input, err := claimInput(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	out, err := r.Serve(ctx, call)
	run, ok := out.(*eventRun)
	if err != nil || !ok {
		input.stop()
		return out, err
	}
	out, s, wanted := wantedStream(call)
	if !wanted {
		input.stop()
		return nil, fmt.Errorf("rpc: call %s: %w", strings.Join(call.Path, "."), errUnexpectedStream)
	}
	s.source = startLocal(s.life, run)
	return out, nil
}
