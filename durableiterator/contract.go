package durableiterator

import (
	"context"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Contract describes a procedure whose output is a durable iterator: its path, the type
// In of its input and the type T of the events. The server implements it with
// [Contract.Handler]; the client subscribes with client.Subscribe.
type Contract[In, T any] struct {
	server rpc.Procedure[In, *Subscription[T]]
	client rpc.Procedure[In, string]
}

// Define returns the contract of a procedure. The path and the options are those of
// [rpc.Define]; like it, Define panics if the path is invalid.
func Define[In, T any](path string, opts ...rpc.ProcedureOption) Contract[In, T] {
	return Contract[In, T]{
		server: rpc.Define[In, *Subscription[T]](path, opts...),
		client: rpc.Define[In, string](path, opts...),
	}
}

// Path returns the path of the procedure: its names, joined by dots.
func (c Contract[In, T]) Path() string { return c.client.Path() }

// Procedure returns the procedure as a client calls it, with the token as its output.
// Use it where only the token is needed, for example in a client.TokenFunc.
func (c Contract[In, T]) Procedure() rpc.Procedure[In, string] { return c.client }

// Describe implements [rpc.Contract]. The output in the description is a [Subscription],
// whose EventType method returns the type of the events.
func (c Contract[In, T]) Describe() rpc.Description { return c.server.Describe() }

// Handler returns a route that handles the procedure with fn, as [rpc.Procedure.Handler]
// does. The rpc.Handler that serves the route must have a [HandlerPlugin].
func (c Contract[In, T]) Handler(fn func(context.Context, In) (*Subscription[T], error), ics ...rpc.Interceptor) rpc.Route {
	return c.server.Handler(fn, ics...)
}
