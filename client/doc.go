// Package client is the client of durable iterators: it opens one WebSocket with a
// token, returns the events of a channel as an iterator that survives the loss of the
// connection, and calls typed methods over the same socket. It is oRPC's
// DurableIteratorLinkPlugin and ClientDurableIterator, and works with servers of oRPC as
// well as with those of package durableobject.
//
// If a procedure of package rpc returns the token, its link needs a plugin that has the
// address of the sockets:
//
//	link := rpc.NewLink("http://localhost:3000/rpc", &rpc.LinkOptions{
//		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
//			URL:                      "ws://localhost:3000/chat-room",
//			RefreshTokenBeforeExpire: 10 * time.Minute,
//			OnGap: func(ctx context.Context, _ *client.GapError) {
//				reload(ctx) // some events are missing: fetch the state again
//			},
//		}},
//	})
//	it, err := client.Subscribe(ctx, link, chat.OnMessage, rpc.Void{})
//	if err != nil {
//		return err
//	}
//	defer it.Close()
//	for msg, err := range it.All() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(msg.Message)
//	}
//
// [Dial] opens an iterator with tokens of any other [TokenSource]. Methods of the object are
// called on the iterator, with their contracts:
//
//	text, err := chat.Echo.Call(ctx, it, chat.EchoInput{Text: "Hello"}, rpc.WithRetry(3))
//
// # Connecting
//
// An iterator is connecting, live, waiting to connect again, or closed: see [State]
// and Options.OnStateChange. The first connection fails if the server refuses it for good,
// and after Options.ConnectTimeout. Once it was live, an iterator reconnects after every loss
// until its context ends, with growing random pauses. Pings detect dead connections.
//
// With Options.RefreshTokenBeforeExpire a new token is fetched before the old one expires. If
// it has the same channel and tags, the open socket continues with it; otherwise another
// socket is opened, and the events continue after the last one. Without that option, a new
// token is fetched when the server has refused the old one, with status 401 or with close
// code 1008 and "Token expired". The iterator ends if the server also refuses the new token
// before it has ever accepted it, unless it has expired, for example while the server was
// down. It also ends if the source of tokens returns status 401, 403 or 404.
//
// The token is part of the address of the WebSocket, which proxies log, or with
// [TokenInSubprotocol] of a header.
//
// In js/wasm, iterators use the browser's WebSocket, and TokenInSubprotocol is the default.
// An iterator closes its socket before its page is frozen or put into the back/forward cache,
// and reconnects when the page is resumed. When the network is back, it reconnects at once.
//
// # Resume
//
// Each event is returned once and in order, even if connections are lost: the iterator
// resumes after the last event that has arrived, and keeps events that have arrived but
// were not read yet. [Iterator.LastEventID] and [rpc.WithLastEventID] do the same across
// processes.
//
// An application that reads slowly still receives all events. When the buffer is full, by
// Options.BufferSize or Options.BufferBytes, the iterator does not read its socket until half
// of the buffer is read, which slows the server down. If that takes too long, or a call is
// under way, it drops events instead, and requests them again on the same socket once half of
// the buffer is read. Calls are not affected.
//
// Events that a server sends to one socket only are not in the log and have no id. They
// are lost if the connection is lost before they arrive.
//
// # Gaps
//
// Missing events are always reported, by a [*GapError] in their place, even if it is only
// possible that there were any: the server did not keep them long enough, keeps no events at
// all, or has lost its log. An event that the client cannot read, because it is too large,
// malformed or of another type, is reported in the same way and skipped.
//
// [Iterator.All] calls Options.OnGap for a gap and continues. Without OnGap the gap ends the
// loop, as every error does, and ranging again continues after it. [Iterator.Events] returns
// gaps as errors and continues.
//
// A server of oRPC reports less, so with such a server an iterator works as oRPC's own client
// does, with these weaknesses. The server does not report the position at which a first
// subscription begins, so events between it and the first event that is read are lost if the
// connection is. It does not report that it keeps no events, or not long enough. It replays
// events in the order of their ids as strings, so that 10 comes before 9, and another resume
// may then repeat some. If its ids begin at 1 again, the iterator detects it and reports a gap
// with [GapReset]. Unread events are dropped with the connection and requested again.
//
// # Errors
//
// Errors that a server has sent are *rpc.Error, whether they are of a procedure, a method or
// a handshake. [ErrRefused], [ErrEnded] and the error of the context end an iterator; [ErrGap]
// does not. A call that is running when the connection is lost fails with
// rpc.ErrDisconnected. Errors and logs never contain tokens or parts of them: if a server
// repeats one, it is replaced by [redacted].
//
// # Concurrency
//
// An [Iterator] is safe for concurrent use. One goroutine keeps it connected and one reads
// its socket; both end with it, and Close waits for them. Loops that range over one
// iterator at the same time share its events.
package client
