// Package durableobject is the server side of durable iterators: per-channel
// objects that publish events to the WebSockets connected to them, keep events
// for clients that come back, and answer method calls over the same socket. It
// speaks oRPC's v1 wire, so clients of @orpc/* 1.x work against it unchanged.
//
// A [Namespace] holds the objects of one class. It makes the object of a channel
// when the channel is first used:
//
//	type ChatRoom struct{ *durableobject.Object[chat.Message] }
//
//	func (r *ChatRoom) Say(ctx context.Context, ws *durableobject.Websocket, in chat.Message) (rpc.Void, error) {
//		return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithExclude(ws))
//	}
//
//	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[chat.Message]) (*ChatRoom, error) {
//		return &ChatRoom{o}, nil
//	}, &durableobject.Options{Verifier: secret, ResumeRetention: 2 * time.Minute})
//	durableobject.Handle(rooms, chat.Say, (*ChatRoom).Say)
//	mux.Handle("/chat-room", durableobject.UpgradeHandler(rooms, nil))
//
// Clients connect with a token that names the channel; package durableiterator
// makes them. Any part of the server publishes through [Namespace.Get] and
// [Object.PublishEvent].
//
// # Order and delivery
//
// An object has one order of events, that of its log, and every subscriber sees
// that order. An event is stored before it is delivered. What goes over a socket
// arrives at least once; this library's client hands each event to the
// application once, in order, or reports a gap.
//
// [WithTags], targets and excludes decide which clients an event is for, by the same
// rule when it is published and when it is replayed. Predicates are called once, at
// publication, and their choice is stored. An event for others is never
// replayed to a client. Ids are chosen by clients: where that matters, set
// Options.Subject.
//
// # Resume
//
// With Options.ResumeRetention every event has an id, "<epoch>-<number>", opaque
// to clients. A client that subscribes with the last id it has seen is sent the events
// that it missed, then those that OnSubscribed sends, then live events, with nothing lost
// or doubled in between. If an event is gone (too old, or the log in memory ended
// with the process) it is sent all that is left, and [Resume] reports it. The last event
// id "0" asks for all events that are kept, and is always complete.
//
// The number counts all events of the log, those of other objects included: see
// Options.Log.
//
// Some headers go beyond oRPC, and only to clients that ask for them with
// "x-durable-iterator: 1" when they subscribe, as package client does. The answer then has
// "x-durable-iterator-position", the head of the log or, with Options.Latest, the position
// before the first event, and "x-durable-iterator-resume": "complete", "truncated", "off"
// (nothing is kept) or "none" (there was no last event id). Such clients are also sent an event
// without data now and then, whose id is the current position of the log.
//
// Pages in browsers see no pings. A client that subscribes with
// "x-durable-iterator-heartbeat" and a number of seconds, 10 to 60, is sent an event
// without data when it was sent nothing else for so long, or up to a second longer. Where
// events are kept it has the current position as its id, unless OnSubscribed still runs.
//
// # History
//
// [Object.History] returns pages of what the log retains, also for one socket. With
// Options.Latest a client that names no last event id begins with the newest events.
// [Resume] has the position after which events are live, for a hook that sends a state.
//
// # Slow and hostile clients
//
// Events are not queued for a socket. It reads from the tail of the log that all
// sockets of an object share, and when it lags by more than Options.MaxLagBytes,
// from the log itself, at its own pace. A publisher never waits for it.
//
// Answers to calls, and events of [Websocket.Send], wait for a client that reads slowly,
// and the calls with them. A client that asks for much at once is slowed down, not
// refused. Only one whose connection accepts no bytes for Options.StallTimeout is closed
// with 1013, and from then on nothing that it sends is read or run. A silent client is pinged and
// dropped; one whose token has expired is closed with 1008.
//
// # What one socket can hold
//
// Whatever its client does, a socket holds no more than:
//
//   - a message that is being read, Options.MaxMessageBytes, for Options.MessageTimeout;
//   - messages of calls that wait or run, Options.MaxPendingBytes. Calls beyond
//     Options.MaxCalls cost no more than that;
//   - answers and events that wait to be read, Options.MaxLagBytes; a single
//     answer may be larger, and four more may be encoded and wait for room;
//   - bytes that are being written, 128 KiB, or one answer or page of the log if that is larger;
//   - goroutines, each of about 16 KiB: Options.MaxCalls, Options.MaxStreams, one hook, and
//     up to four of its own;
//   - where UpgradeOptions.Authorize is set, the request that opened it: its address twice, its
//     header once, together 32 KiB and three times Options.MaxTokenBytes at most;
//   - the values that the application keeps for its calls: an input may take several times the size
//     of its message once it is decoded. One input of a socket is decoded at a time. While four
//     outputs wait to be encoded no further call begins, so that a client that does not read
//     makes calls wait rather than outputs.
//
// # Tokens
//
// A token is admitted by the same rules when it opens a socket and when it replaces
// the token of one: its size, its signature and claims, Options.Channels, and
// UpgradeOptions.Authorize. It names a channel and no namespace, so use one key for
// each namespace, or check names with Options.Channels: otherwise a token for
// the channel "42" of one namespace opens the channel "42" of another.
//
// # Access
//
// [Namespace.Disconnect] closes sockets, on all nodes, and [Namespace.Revoke] refuses tokens
// that have not expired yet, by their user, tag, channel, id or time of issue.
//
// # Presence
//
// With Options.Presence an object lists its members, which are the clients that are connected
// to it on all nodes: [Object.Presence] and [Object.PresenceChanges]. OnJoined and OnLeft of
// the object are called when one comes or is gone.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Methods and hooks of an object
// run concurrently: guard its fields. No lock is held while code of the application
// runs, so a method, a hook, a predicate or a logger may use the namespace that
// calls it, and one that blocks holds up nothing but itself. OnJoined and OnLeft also
// hold up later calls of the two of the same object. They run for 64 objects at once,
// not counting up to 1,000 that have not returned within Options.HookTimeout; those of
// other objects wait.
//
// Goroutines: one reader for each socket, one for each running call or hook, and for
// each namespace a fixed set of writers, up to four for tasks in intervals, one for
// each running OnEvicted, one for each message of another node that is acted on, and one
// for the Logger while there is something to log. [Namespace.Shutdown] joins them all,
// and stops all timers.
//
// # Errors
//
// A method returns an *rpc.Error to report it to the client; any other error reaches
// the client as INTERNAL_SERVER_ERROR without detail, and the interceptors and the
// Logger in full. A panic in a method is such an error. A panic in a hook, or in a
// function of the options, is logged, and the request that it happened in is refused.
package durableobject
