package rpc

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Router finds the handler of a call by its path. It is immutable and safe for concurrent use. It is
// a [Caller], which calls procedures in the same process.
type Router struct {
	routes map[string]Route // by dotted path
	caller Caller
}

// NewRouter returns a router. It panics if two routes have the same path, or if the path of one is a
// group of another one.
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
			panic(fmt.Sprintf("rpc: NewRouter: %q conflicts with %q", path, other))
		}
	}
	r.routes[path] = route
}

// Has reports whether there is a procedure with the path.
func (r *Router) Has(path []string) bool {
	_, ok := r.find(path)
	return ok
}

// TakesEvents reports whether there is a procedure with the path whose input is a stream of events.
func (r *Router) TakesEvents(path []string) bool {
	route, ok := r.find(path)
	return ok && route.TakesEvents()
}

// Routes returns the routes of the router, sorted by path.
func (r *Router) Routes() []Route {
	routes := make([]Route, 0, len(r.routes))
	for _, route := range r.routes {
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b Route) int { return cmp.Compare(a.Path(), b.Path()) })
	return routes
}

// Call runs the procedure with the path call.Path in this process. The input may have the
// procedure's type or be a [value.Value]; it is validated like that of a client. If there is no such
// procedure, the error has [CodeNotFound].
func (r *Router) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	return r.caller.Call(ctx, call, opts...)
}

// Serve runs the procedure with the path call.Path, like [Router.Call], but without options and
// without copying the call. It is the [CallFunc] of a server.
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
	local := &localSource{life: s.life, run: run}
	local.start()
	s.source = local
	return out, nil
}
