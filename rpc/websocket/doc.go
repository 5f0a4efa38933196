// Package websocket serves and calls procedures of package rpc over WebSocket connections. It is
// oRPC's RPCHandler and RPCLink for WebSockets. Unmodified TypeScript clients of oRPC v1 can call
// a [Handler], and a [Link] can call a TypeScript server.
//
//	mux.Handle("/rpc-ws", websocket.NewHandler(router, nil))
//
//	link, err := websocket.Dial(ctx, "ws://localhost:3000/rpc-ws", nil)
//	text, err := Greet.Call(ctx, link, Greeting{Name: "Ada"})
//
// Any number of calls can use a connection at the same time, including calls with streams of
// events in both directions. Durable iterators have separate connections: see package
// durableobject for the server and package client for the client.
package websocket
