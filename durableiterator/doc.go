// Package durableiterator makes the tokens with which clients subscribe to channels, and
// defines the contracts of the procedures that return them. It is oRPC's DurableIterator
// and DurableIteratorHandlerPlugin.
//
// Server and client share a contract:
//
//	var OnMessage = durableiterator.Define[rpc.Void, Message]("onMessage")
//
// Its handler decides which channel the caller may listen to, which tags its socket has,
// what is attached to the token, and which methods the caller may call:
//
//	router := rpc.NewRouter(
//		OnMessage.Handler(func(ctx context.Context, _ rpc.Void) (*durableiterator.Subscription[Message], error) {
//			return durableiterator.New[Message]("some-room", &durableiterator.Options{
//				Tags: []string{"members"},
//				Att:  User{ID: "user-123"},
//			}).RPC(SingleClient, RouterClient), nil
//		}),
//	)
//	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
//		Prefix:  "/rpc",
//		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
//	}))
//
// The handler runs for every token, also when a client refreshes one. It must check that
// the caller may listen, because the server of the sockets checks only the token. Clients
// use package client. The server of the sockets uses package durableobject; it may be
// another process, with the same key.
//
// # Without rpc
//
// A [Subscription] does not need package rpc. [Subscription.Token] returns the token, for
// responses of other frameworks, and a Subscription is an [http.Handler] for a plain
// route. Both need [Options.Signer].
//
// # Errors
//
// [ErrNoSigner] and [ErrNoPlugin] mean that the server is not set up completely. Other
// errors of signing come from package token or from encoding the attachment. Callers
// over rpc see only an internal server error.
//
// # Concurrency
//
// All values of this package are immutable and safe for concurrent use.
package durableiterator
