// Package client is the client of durable iterators: it opens one WebSocket with a
// token, gives the events of a channel as an iterator that survives the loss of the
// connection, and calls typed methods over the same socket. It is oRPC's
// DurableIteratorLinkPlugin and ClientDurableIterator, and speaks to servers of oRPC as
// well as to those of package durableobject.
//
// Where the token comes from a procedure of package rpc, the link gets a plugin that
// knows the address of the sockets:
//
//	link := rpc.NewLink("http://localhost:3000/rpc", &rpc.LinkOptions{
//		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
//			URL:                      "ws://localhost:3000/chat-room",
//			RefreshTokenBeforeExpire: 10 * time.Minute,
//		}},
//	})
//	it, err := client.Subscribe(ctx, link, chat.OnMessage, rpc.Void{})
//	if err != nil {
//		return err
//	}
//	defer it.Close()
//	for msg, err := range it.All() {
//		if errors.Is(err, client.ErrGap) {
//			reload() // some events are gone: fetch the state anew, then go on
//			continue
//		}
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
// and Options.OnStateChange. The first connection fails with what the server says, if
// that is final, and when Options.ConnectTimeout is over. Once it was live, an iterator
// comes back after every loss, for as long as its context lets it, with growing pauses
// in which chance plays a part. Pings find out that a connection is dead.
//
// The token is replaced in time if Options.RefreshTokenBeforeExpire says so. The open
// socket goes on with the new one if its channel and tags are those of the old one;
// otherwise another socket is opened, and the events go on behind the last one. Without
// that option a new token is fetched when the server has refused the old one, by status
// 401 or by close code 1008, "Token expired". A token that is fetched then and refused
// again before it was ever accepted ends the iterator, unless it has expired meanwhile,
// as while the server was away. So does a source that answers 401, 403 or 404.
//
// # Resume
//
// Each event comes once and in order, whatever happens to the connection: the iterator
// resumes behind the last event that has arrived, and what has arrived but was not read
// yet is kept. [Iterator.LastEventID] and [rpc.WithLastEventID] carry that over to
// another process.
//
// An application that reads too slowly gets everything all the same. When
// Options.BufferSize events wait, the iterator stops listening on its socket, and asks
// for what follows once half of them are read. Calls go on meanwhile.
//
// Events outside of the log, which a server sends to one socket alone, have no id. They
// are lost if the connection is lost before they arrive.
//
// # Gaps
//
// What cannot be resumed is never left out in silence. A [*GapError] stands in place of
// the events that are missing, also if it is only possible that there were any: the
// server did not keep them long enough, it keeps none at all, or it has lost its log.
// Ranging goes on after it.
//
// A server of oRPC tells less, so against one the iterator is as good as oRPC's own
// client and no better. Such a server does not say where a first subscription begins, so
// events between that and the first one that is read are lost with the connection; it
// does not say that it keeps no events, or not long enough; and it replays events in
// the order of their ids as texts, so that 10 comes before 9, after which a further
// resume may repeat some. What can be seen there, ids that begin anew, is a gap with
// [GapReset]. Unread events are dropped with the connection and asked for again.
//
// # Errors
//
// Errors that a server has sent are *rpc.Error, whether by a procedure, a method or the
// answer to a handshake. [ErrRefused] and the error of the context end an iterator;
// [ErrGap] does not. A call that was under way when the connection was lost fails with
// rpc.ErrDisconnected. Errors and logs do not contain tokens.
//
// # Concurrency
//
// An [Iterator] is safe for concurrent use. One goroutine keeps it connected, one reads
// its socket; both end with it, and Close waits for them. Loops that range over one
// iterator at the same time share its events.
package client
