// Package client is the client of durable iterators: it opens one WebSocket with a
// token, returns the events of a channel as an iterator that survives the loss of the
// connection, and calls typed methods over the same socket. It is oRPC's
// DurableIteratorLinkPlugin and ClientDurableIterator, and works with servers of oRPC as
// well as with those of package durableobject.
//
// Where the token comes from a procedure of package rpc, the link gets a plugin that
// knows the address of the sockets:
//
//	link := rpc.NewLink("http://localhost:3000/rpc", &rpc.LinkOptions{
//		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
//			URL:                      "ws://localhost:3000/chat-room",
//			RefreshTokenBeforeExpire: 10 * time.Minute,
//			OnGap: func(ctx context.Context, _ *client.GapError) {
//				reload(ctx) // some events are gone: fetch the state anew, then go on
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
// [Dial] takes tokens of any other origin, a [TokenSource]. Methods are called with
// their contracts, on the iterator:
//
//	text, err := chat.Echo.Call(ctx, it, chat.EchoInput{Text: "Hello"}, rpc.WithRetry(3))
//
// # Connecting
//
// An iterator is connecting, live, waiting to connect again, or closed: see [State]
// and Options.OnStateChange. The first connection fails with the server's answer if that
// is final, and when Options.ConnectTimeout has passed. Once it was live, an iterator
// connects again after every loss until its context ends, with growing random pauses.
// Pings detect dead connections.
//
// With Options.RefreshTokenBeforeExpire the token is replaced in time. The open socket
// goes on with the new one if its channel and tags are those of the old one; otherwise
// another socket is opened, and the events go on after the last one. Without
// that option a new token is fetched when the server has refused the old one, by status
// 401 or by close code 1008, "Token expired". A token that is fetched then and refused
// again before it was ever accepted ends the iterator, unless it has expired meanwhile,
// as while the server was away. So does a source that answers 401, 403 or 404.
//
// The token is in the address of the WebSocket, which proxies log, or with
// [TokenInSubprotocol] in one of its headers.
//
// In js/wasm the WebSocket is that of the browser, and TokenInSubprotocol the default. An
// iterator closes its socket before its page is frozen, or is kept for the back button, and
// connects when the page is back. It does not wait once the network is back.
//
// # Resume
//
// Each event comes once and in order, whatever happens to the connection: the iterator
// resumes after the last event that has arrived, and keeps events that have arrived and
// were not read yet. [Iterator.LastEventID] and [rpc.WithLastEventID] carry that over to
// another process.
//
// An application that reads too slowly gets everything all the same. When the buffer is
// full, by Options.BufferSize or Options.BufferBytes, the iterator drops events, and asks
// for them again on the same socket once half of the buffer is read. Calls go on
// meanwhile.
//
// Events outside of the log, which a server sends to one socket alone, have no id. They
// are lost if the connection is lost before they arrive.
//
// # Gaps
//
// Missing events are never left out in silence. A [*GapError] stands in their place, also
// if it is only possible that there were any: the server did not keep them long enough,
// it keeps none at all, or it has lost its log. So does one for an event that the client
// can never read, as it is too large, malformed or of another type; the iterator moves
// past it.
//
// [Iterator.All] calls Options.OnGap in place of a gap and goes on; without OnGap the gap
// ends the loop, as every error does, and ranging again goes on after it.
// [Iterator.Events] returns gaps as errors and goes on.
//
// A server of oRPC sends less, so against one the iterator is as good as oRPC's own
// client and no better. Such a server does not report where a first subscription begins,
// so events between that and the first one that is read are lost with the connection;
// nor that it keeps no events, or not long enough; and it replays events in the order of
// their ids as strings, so that 10 comes before 9, after which a further resume may
// repeat some. Ids that begin anew can be seen, and are a gap with [GapReset]. Unread
// events are dropped with the connection and asked for again.
//
// # Errors
//
// Errors that a server has sent are *rpc.Error, whether by a procedure, a method or the
// answer to a handshake. [ErrRefused] and the error of the context end an iterator;
// [ErrGap] does not. A call that was under way when the connection was lost fails with
// rpc.ErrDisconnected. Errors and logs contain no piece of a token: where a server repeats
// one, they have [redacted] in its place.
//
// # Concurrency
//
// An [Iterator] is safe for concurrent use. One goroutine keeps it connected, one reads
// its socket; both end with it, and Close waits for them. Loops that range over one
// iterator at the same time share its events.
package client
