// Package durableobject implements the server side of durable iterators. An object for each
// channel publishes events to the WebSockets that are connected to it, keeps events for clients
// that reconnect, and answers method calls over the same sockets. The package uses the wire
// format of oRPC v1, so unmodified clients of @orpc/* 1.x can connect.
//
// A [Namespace] holds objects of one type. It creates the object of a channel when the channel
// is first used:
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
//	mux.Handle("/chat-room", durableobject.NewHandler(rooms, nil))
//
// Clients connect with a token that names the channel; package durableiterator makes tokens.
// Other code of the server publishes events with [Namespace.Get] and [Object.PublishEvent].
//
// # Order and delivery
//
// Every subscriber receives the events of an object in the same order, that of the log. An
// event is stored before it is delivered. On the wire, events arrive at least once. The client
// of this library returns each event to the application once and in order, or reports a gap.
//
// [WithTags], targets and excludes select the recipients of an event, by the same rule when it
// is published and when it is replayed. Predicates are called once, at publication, and their
// result is stored. An event for other clients is never replayed to a client. Clients choose
// their ids: if that matters, set Options.Subject.
//
// # Resume
//
// With Options.ResumeRetention every event has an id, "<epoch>-<number>", which is opaque to
// clients. A client that subscribes with the id of the last event that it has received is sent
// the missed events, then those that OnSubscribed sends, then live events, without loss or
// repetition. If events are missing, because they are too old or a log in memory was lost with
// the process, the client is sent those that are left, and [Resume] reports it. A subscription
// with the last event id "0" begins with all events that are kept, and is always complete.
//
// The number counts all events of the log, including those of other objects: see Options.Log.
//
// Some headers go beyond oRPC. They are sent only to clients that request them with
// "x-durable-iterator: 1" when they subscribe, as package client does. The response then has
// "x-durable-iterator-position", the head of the log or, with Options.Latest, the position
// before the first event, and "x-durable-iterator-resume": "complete", "truncated", "off"
// (no events are kept) or "none" (there was no last event id). Such clients are also sent
// occasional events without data, whose id is the current position of the log.
//
// Pages in browsers cannot detect pings. A client that subscribes with
// "x-durable-iterator-heartbeat" and a number of seconds, 10 to 60, is sent an event without
// data when nothing else was sent for that time, or up to a second later. If events are kept,
// its id is the current position, unless OnSubscribed is still running.
//
// # History
//
// [Object.History] returns pages of the events that the log retains, also for a single socket.
// With Options.Latest, a client that sends no last event id begins with the newest events.
// [Resume] has the position after which events are live, for a hook that sends a state.
//
// # Slow and hostile clients
//
// Events are not queued for each socket. A socket reads from the tail of the log, which all
// sockets of an object share. If it lags by more than Options.MaxLagBytes, it reads from the
// log itself, at its own pace. A publisher never waits for it.
//
// Answers to calls and events of [Websocket.Send] wait for a client that reads slowly, and so
// do its calls. A client that makes many calls at once is slowed down, not refused. Only if a
// connection accepts no bytes for Options.StallTimeout, it is closed with code 1013; from then
// on nothing that the client sends is read or run. A silent client is pinged and, without an
// answer, closed; a client whose token has expired is closed with code 1008.
//
// # Resources of a socket
//
// Whatever its client does, a socket uses no more than:
//
//   - a message that is being read, Options.MaxMessageBytes, for Options.MessageTimeout;
//   - messages of calls that wait or run, Options.MaxPendingBytes. Calls beyond
//     Options.MaxCalls use no more than that;
//   - answers and events that wait to be read, Options.MaxLagBytes; a single answer may be
//     larger, and four more may be encoded and wait for room;
//   - bytes that are being written, 128 KiB, or one answer or page of the log if that is larger;
//   - goroutines, each of about 16 KiB: Options.MaxCalls, Options.MaxStreams, one for a hook, and
//     up to four for the socket itself;
//   - with HandlerOptions.Authorize, the request that opened it: its address twice and its
//     header once, together at most 32 KiB and three times Options.MaxTokenBytes;
//   - the values of the application's calls: a decoded input may take several times the size of
//     its message. One input of a socket is decoded at a time. While four outputs wait to be
//     encoded, no further call begins, so that for a client that does not read, calls wait
//     rather than outputs.
//
// # Tokens
//
// The same rules apply to a token that opens a socket and to one that replaces the token of a
// socket: its size, its signature and claims, Options.Channels, revocations, and
// HandlerOptions.Authorize. A token names a channel but not a namespace. Use a separate key for
// each namespace, or check names with Options.Channels; otherwise a token for the channel "42"
// of one namespace opens the channel "42" of another.
//
// # Access
//
// [Namespace.Disconnect] closes sockets on all nodes. [Namespace.Revoke] refuses tokens that
// have not expired yet, by their user, tag, channel, id or time of issue.
//
// # Presence
//
// With Options.Presence an object lists its members, the clients that are connected to it on
// all nodes: see [Object.Presence] and [Object.PresenceChanges]. OnJoined and OnLeft of the
// object are called when a client joins or leaves.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Methods and hooks of an object run
// concurrently, so its fields need a lock. No lock of the package is held while code of the
// application runs, so methods, hooks, predicates and loggers may use the namespace that calls
// them, and one that blocks delays nothing else. OnJoined and OnLeft also delay later calls of
// the two for the same object. They run for 64 objects at once, not counting up to 1,000 that
// have not returned within Options.HookTimeout; those of other objects wait.
//
// Goroutines: one reader for each socket, one for each running call or hook, and for each
// namespace a fixed set of writers, up to four for periodic tasks, one for each running
// OnEvicted, one for each message of another node that is being processed, and one for the
// Logger while there are records to log. [Namespace.Shutdown] waits for all of them and stops
// all timers.
//
// # Errors
//
// An *rpc.Error that a method returns is sent to the client. For any other error the client
// receives INTERNAL_SERVER_ERROR without details; interceptors and the Logger receive the
// error itself. A panic in a method is such an error. A panic in a hook or in a function of the
// options is logged, and the request during which it happened is refused.
package durableobject
