// Package durableiterator is the part of a durable iterator that its procedure
// answers with: a token that opens a channel. It is oRPC's DurableIterator and
// DurableIteratorHandlerPlugin.
//
// A contract is shared by server and client:
//
//	var OnMessage = durableiterator.Define[rpc.Void, Message]("onMessage")
//
// Its handler says which channel the caller gets, what the socket is tagged with,
// what is attached to the token, and which methods may be called:
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
// The handler runs for every caller, again for each refresh of a token, and is the
// place to decide who may listen: the token is all that the server of the sockets
// looks at. Clients use package client; the server of the sockets is package
// durableobject, which may be another process that has the key.
//
// # Without rpc
//
// An [Iterator] is not bound to package rpc. [Iterator.Token] gives the token
// itself, to be returned by any other framework, and an Iterator is an
// [http.Handler] for a plain route. Both need [Options.Signer].
//
// # Errors
//
// [ErrNoSigner] and [ErrNoPlugin] tell of wiring that is missing. Other errors of
// signing are those of package token, or of encoding the attachment. Callers over
// rpc see none of them, only an internal error.
//
// # Concurrency
//
// Everything here is safe for concurrent use and does not change once it is made.
package durableiterator
