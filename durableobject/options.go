package durableobject

import (
	"cmp"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// Defaults of Options.
const (
	DefaultMaxLagBytes     = 1 << 20
	DefaultMaxMessageBytes = 1 << 20
	DefaultHookTimeout     = 10 * time.Second
	DefaultIdleTimeout     = 10 * time.Minute
	DefaultPingInterval    = 30 * time.Second
	DefaultMaxCalls        = 256
	DefaultMaxStreams      = 100
	DefaultMessageTimeout  = 30 * time.Second
	DefaultStallTimeout    = 10 * time.Second
	DefaultMaxTokenBytes   = 8 << 10
	DefaultLatestScan      = 1000
)

// minPendingBytes is the least default of Options.MaxPendingBytes.
const minPendingBytes = 128 << 10

// Options configures a Namespace. Verifier is required; the zero value of
// everything else is its default. Options are copied, the slices too: changes after
// [NewNamespace] have no effect.
type Options struct {
	// Verifier checks the tokens of clients: a token.Secret, a token.Keyring or a
	// token.JWT. An error that wraps none of the errors that package token names for
	// a refusal is a failure of the verifier, for example of a key service: it is
	// logged, and clients get 503 and try again. oRPC: signingKey.
	//
	// A token names its channel and not its namespace. Use one key for each
	// namespace, or set Channels, so that a token of another one is not accepted.
	Verifier token.Verifier

	// Channels reports whether a name may be that of a channel of this namespace,
	// for instance by its prefix. A token for any other is refused as an invalid one
	// is. Get is not restricted. Nil allows every name.
	Channels func(name string) bool

	// MaxTokenBytes is the size of the largest token that is accepted; a larger one
	// is refused before it is verified. 0 is 8 KiB.
	MaxTokenBytes int

	// ResumeRetention is how long events are kept for clients that come back. 0
	// keeps nothing: events have no ids, and a client that reconnects has missed
	// the events in between. oRPC: resumeRetentionSeconds.
	ResumeRetention time.Duration

	// Latest is how many of the newest events that are for it a client begins with if it
	// subscribes without a last event id, as it does for the first time. They come with
	// their ids, in order, before what OnSubscribed sends, so that every client can read
	// them. One that is cut off meanwhile resumes and misses none. They are as old as
	// ResumeRetention at most, which they require. 0 is none, as in oRPC.
	Latest int

	// LatestScan is how many of the newest events of the channel are looked at for those
	// that Latest asks for: those that are for other clients count, too. At most 1 MiB is
	// looked at. 0 is 1000, or Latest if that is more.
	LatestScan int

	// Log is where events are kept. Nil is a log in memory of the namespace's own.
	// The namespace does not close this log, and does not trim it unless TrimLog is set. It
	// requires ResumeRetention, without which nothing would be stored. The log should keep
	// events for at least that long: if it drops them earlier, resumes are truncated,
	// and a line at level Warn reports it if the log is an eventlog.Expiring.
	//
	// Each namespace needs a log of its own or an eventlog.Prefix of one. Two namespaces on
	// the same log have each other's events in channels of the same name. That is a line
	// at level Warn in the log of the second.
	//
	// If the log is bounded by size, and other channels push out even the latest
	// event of a channel soon after it was published, the channel's next event closes
	// its sockets once, with 1013; their clients come back.
	//
	// Positions are numbered for a whole log, and clients can read the numbers, so
	// a client with a token of one channel can see how many events all channels of the
	// log have. Tenants who must not know that of each other need a log each.
	//
	// The rest is about several processes only. An eventlog.Shared is a log that several
	// processes share, each with a namespace of its own: then every socket gets the events of
	// all of them, and a client may come back to any process. Each namespace needs a handle of
	// its own, or a Prefix. While the log is out of reach, publishers get its error and clients
	// 503; when its feed is lost the sockets are closed with 1012, and their clients resume
	// from the log. Predicates fail with [ErrPredicate]. The clocks of the processes may differ
	// from the log's by 10 s. Each process has an object of its own for a channel: keep state
	// that must exist once elsewhere.
	Log eventlog.Log

	// Bus connects the nodes of the namespace for [Namespace.Disconnect],
	// [Namespace.Revoke] and presence, and keeps the revocations. Each node needs a handle
	// of its own; other namespaces need a bus of their own or an eventlog.PrefixBus. It is
	// not closed by the namespace. Nil is the bus of Log, if it has one: see
	// eventlog.BusOf. Without any bus these are about this process only, which is logged
	// at Warn if the log is an eventlog.Shared.
	//
	// A namespace with a bus that others share, which is one that was set here or that of
	// an eventlog.Shared, sends a message every 2.5 s. While it cannot reach the bus for
	// more than 10 s it refuses clients with 503.
	Bus eventlog.Bus

	// Presence turns on the lists of who is connected: see [Object.Presence]. Every node
	// then has all members of the namespace in memory, some 500 bytes each, and sends
	// the others a message for each client that comes or goes. Nil is off, which costs
	// nothing. It is copied.
	Presence *PresenceOptions

	// TrimLog makes the namespace delete events that are older than ResumeRetention
	// from Log. Leave it unset where the log trims itself, as a filelog with
	// a Retention does, where it is shared with others, and where history is to be
	// kept. An eventlog.Shared is never trimmed. Events older than ResumeRetention are not
	// replayed in any case. It requires Log.
	TrimLog bool

	// IdempotencyWindow is how long the log in memory of the namespace's own remembers the
	// keys of [WithIdempotencyKey]. It is at most ResumeRetention. 0 is 2 min, or
	// ResumeRetention if that is shorter. A Log has an option of its own for that.
	IdempotencyWindow time.Duration

	// Interceptors run around each request on a socket: "subscribe",
	// "updateToken" and the methods, whose Path is "call" followed by the
	// method's own path. The first is outermost.
	Interceptors []rpc.Interceptor

	// Plugins may add interceptors and serializers.
	Plugins []rpc.HandlerPlugin

	// Serializers send the application's own types, in events too. Clients need
	// the same. oRPC: customJsonSerializers.
	Serializers []value.Serializer

	// Validator checks the inputs of methods. Nil is the default of rpc.
	Validator rpc.Validator

	// Subject returns the user whose token it is, for instance from its attachment.
	// With it, targets and excludes match subject and id together, so that knowing the
	// id of another user's socket is worth nothing without a token of that user. If it
	// is nil, the id alone counts, which clients choose freely.
	Subject func(*token.Payload) string

	// MaxLagBytes bounds the memory that a socket which reads too slowly can hold.
	// Beyond it the socket reads on from the log; if there is none, it is closed with
	// 1013. Answers to calls, and what Websocket.Send sends, wait for room while more
	// than half of it is unread; a single one may be larger. 0 is 1 MiB.
	MaxLagBytes int

	// StallTimeout is how long a connection may accept no bytes while some wait to be
	// sent. Then it is closed with 1013, and its calls are cancelled. A client that reads
	// slowly, but reads, is kept; where this process itself ends TLS, one that takes 16 KiB
	// in that time. 0 is 10 s.
	StallTimeout time.Duration

	// MaxMessageBytes is the size of the largest message of a client; a larger
	// one closes its socket with 1009, as soon as it is announced. 0 is 1 MiB.
	MaxMessageBytes int64

	// MessageTimeout is how long a message of a client may take from its first frame
	// to its last. One that takes longer closes the socket with 1008. 0 is 30 s.
	MessageTimeout time.Duration

	// MaxCalls is how many calls of one socket may run at once, not counting open
	// streams of events. Further ones wait, as messages that are not decoded; aborts
	// and new tokens do not wait for them. 0 is 256.
	MaxCalls int

	// MaxPendingBytes bounds the messages of one socket's calls that wait or run. A
	// message counts its own size and 256 bytes, and 128 bytes for each of its headers and
	// 16 for each value of one. Beyond it the socket is not read until
	// a call has returned, and the client's silence does not count meanwhile. 0 is twice
	// MaxMessageBytes, at least 128 KiB.
	MaxPendingBytes int

	// MaxStreams is how many streams of events of one socket may be open at once. A
	// further one is refused with TOO_MANY_REQUESTS, but for the subscription. 0 is 100.
	MaxStreams int

	// HookTimeout is how long OnSubscribed may keep live events from a subscription.
	// Its context ends then. It runs once at a time for each socket: of the
	// subscriptions that come meanwhile the newest waits for it, and its events wait
	// as well, for HookTimeout from when it was sent what it missed. 0 is 10 s.
	HookTimeout time.Duration

	// IdleTimeout is how long an object without sockets and users stays in
	// memory. 0 is 10 min.
	IdleTimeout time.Duration

	// PingInterval is how long a socket may be silent before it is sent a ping. It
	// is closed after two of them without a sign of life. A client that reads what had
	// to wait for it is not silent. 0 is 30 s, negative is never.
	PingInterval time.Duration

	// Logger receives errors that are returned to no caller. Tokens are not logged,
	// unless a Verifier puts them into its errors. Its handler runs on a goroutine of
	// its own, so it may block and may use the namespace; what 1024 records that wait
	// for it leave no capacity for is dropped and counted, and a panic of it is
	// ignored. Shutdown waits for it, at most HookTimeout. Nil discards.
	Logger *slog.Logger
}

// withDefaults returns a copy of the options that is complete and shares no slice
// with them. The error has a sentence for each fault.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if err := c.check(); err != nil {
		return c, err
	}
	c.Interceptors = slices.Clone(c.Interceptors)
	c.Plugins = slices.Clone(c.Plugins)
	c.Serializers = slices.Clone(c.Serializers)
	c.MaxTokenBytes = cmp.Or(c.MaxTokenBytes, DefaultMaxTokenBytes)
	c.MaxLagBytes = cmp.Or(c.MaxLagBytes, DefaultMaxLagBytes)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, DefaultMaxMessageBytes)
	c.MaxCalls = cmp.Or(c.MaxCalls, DefaultMaxCalls)
	c.MaxPendingBytes = cmp.Or(c.MaxPendingBytes, max(2*int(min(c.MaxMessageBytes, math.MaxInt/4)), minPendingBytes))
	c.MaxStreams = cmp.Or(c.MaxStreams, DefaultMaxStreams)
	c.LatestScan = cmp.Or(c.LatestScan, max(c.Latest, DefaultLatestScan))
	c.MessageTimeout = cmp.Or(c.MessageTimeout, DefaultMessageTimeout)
	c.StallTimeout = cmp.Or(c.StallTimeout, DefaultStallTimeout)
	c.HookTimeout = cmp.Or(c.HookTimeout, DefaultHookTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.PingInterval = cmp.Or(c.PingInterval, DefaultPingInterval)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// check returns a sentence for each fault.
func (o *Options) check() error {
	var list faults.List
	list.If(o.Verifier == nil, "no Verifier")
	list.If(o.Verifier == token.Secret(""), "Verifier is an empty token.Secret, which verifies nothing")
	faults.Negative(&list, "ResumeRetention", o.ResumeRetention)
	faults.Negative(&list, "IdempotencyWindow", o.IdempotencyWindow)
	faults.Negative(&list, "Latest", o.Latest)
	faults.Negative(&list, "LatestScan", o.LatestScan)
	faults.Negative(&list, "MaxTokenBytes", o.MaxTokenBytes)
	faults.Negative(&list, "MaxLagBytes", o.MaxLagBytes)
	faults.Negative(&list, "MaxMessageBytes", o.MaxMessageBytes)
	faults.Negative(&list, "MaxCalls", o.MaxCalls)
	faults.Negative(&list, "MaxPendingBytes", o.MaxPendingBytes)
	faults.Negative(&list, "MaxStreams", o.MaxStreams)
	faults.Negative(&list, "MessageTimeout", o.MessageTimeout)
	faults.Negative(&list, "StallTimeout", o.StallTimeout)
	faults.Negative(&list, "HookTimeout", o.HookTimeout)
	faults.Negative(&list, "IdleTimeout", o.IdleTimeout)
	list.If(o.Log != nil && o.ResumeRetention == 0, "a Log without ResumeRetention would store nothing")
	list.If(o.IdempotencyWindow > max(o.ResumeRetention, 0), "IdempotencyWindow is longer than ResumeRetention")
	list.If(o.IdempotencyWindow > 0 && o.Log != nil, "IdempotencyWindow is set with a Log, which has its own")
	list.If(o.Latest > 0 && o.ResumeRetention == 0, "Latest without ResumeRetention: nothing is kept")
	list.If(o.LatestScan > 0 && o.LatestScan < o.Latest, "LatestScan is less than Latest")
	list.If(o.TrimLog && o.Log == nil, "TrimLog is set without a Log")
	faults.Nil(&list, "an interceptor", o.Interceptors)
	faults.Nil(&list, "a plugin", o.Plugins)
	return list.Err()
}
