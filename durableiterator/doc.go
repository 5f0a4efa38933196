// Package durableiterator makes the tokens of durable iterators, which open a channel,
// and the contracts of the procedures that return them. It is oRPC's DurableIterator and
// DurableIteratorHandlerPlugin.
//
// A contract is shared by server and client:
//
//	var OnMessage = durableiterator.Define[rpc.Void, Message]("onMessage")
//
// Its handler decides which channel the caller may listen to, the tags of its socket, the
// attachment of the token, and which methods may be called:
//
//	router := rpc.NewRouter(
//		OnMessage.Handler(func(ctx context.Context, _ rpc.Void) (*durableiterator.Iterator[Message], error) {
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
// The handler runs for every caller, again for each refresh of a token. It has to check
// that the caller may listen: the server of the sockets checks only the token. Clients
// use package client; the server of the sockets is package durableobject, which may be
// another process that has the key.
//
// # Without rpc
//
// An [Iterator] is not bound to package rpc. [Iterator.Token] returns the token itself,
// for the answer of any other framework, and an Iterator is an
// [http.Handler] for a plain route. Both need [Options.Signer].
//
// # Errors
//
// [ErrNoSigner] and [ErrNoPlugin] mean that the wiring is incomplete. Other errors of
// signing are those of package token, or of encoding the attachment. Callers over
// rpc see none of them, only an internal error.
//
// # Concurrency
//
// All values of this package are immutable and safe for concurrent use.
package durableiterator
