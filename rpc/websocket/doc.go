// Package websocket calls procedures of package rpc over WebSocket connections: oRPC's
// RPCHandler and RPCLink for WebSockets. An unmodified TypeScript client of oRPC v1 calls a
// [Handler], and a [Link] calls a TypeScript server.
//
//	mux.Handle("/rpc-ws", websocket.NewHandler(router, nil))
//
//	link, err := websocket.Dial(ctx, "ws://localhost:3000/rpc-ws", nil)
//	text, err := Greet.Call(ctx, link, Greeting{Name: "Ada"})
//
// One connection carries any number of calls side by side, streams of events in both
// directions among them. Durable iterators have connections of their own: see package
// durableobject for the server and package client for the client.
package websocket
