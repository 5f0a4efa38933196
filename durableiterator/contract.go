package durableiterator

import (
	"context"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Contract is the contract of a procedure that gives a durable iterator: its path,
// the type In of its input and the type T of the events. Server and client share
// it. The server gives it a handler ([Contract.Handler]), the client subscribes
// with client.Subscribe.
type Contract[In, T any] struct {
	server rpc.Procedure[In, *Iterator[T]]
	client rpc.Procedure[In, string]
}

// Define makes a contract. Path and options are those of [rpc.Define], which
// panics on a bad path.
func Define[In, T any](path string, opts ...rpc.ProcedureOption) Contract[In, T] {
	return Contract[In, T]{
		server: rpc.Define[In, *Iterator[T]](path, opts...),
		client: rpc.Define[In, string](path, opts...),
	}
}

// Path gives the dotted path.
func (c Contract[In, T]) Path() string { return c.client.Path() }

// Procedure gives the procedure as a client sees it, whose output is the token.
// Call it where the token alone is wanted, for example as a client.TokenFunc.
func (c Contract[In, T]) Procedure() rpc.Procedure[In, string] { return c.client }

// Handler gives the procedure a handler, as [rpc.Procedure.Handler] does. It needs
// [HandlerPlugin] in the options of the rpc.Handler.
func (c Contract[In, T]) Handler(fn func(context.Context, In) (*Iterator[T], error), ics ...rpc.Interceptor) rpc.Route {
	return c.server.Handler(fn, ics...)
}
