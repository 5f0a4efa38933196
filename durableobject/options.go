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
	DefaultMaxTokenBytes   = token.DefaultMaxBytes
	DefaultLatestScan      = 1000
)

// minPendingBytes is the minimum default of Options.MaxPendingBytes.
const minPendingBytes = 128 << 10

// Options configures a [Namespace]. Verifier is required; the zero value of any other field
// is its default. Options and their slices are copied: changes after [NewNamespace] have no
// effect.
type Options struct {
	// Verifier verifies the tokens of clients: a token.Secret, a token.Keyring or a
	// token.JWT. If its error wraps none of the errors of package token, the verifier has
	// failed, for example because a key service is down: the error is logged, and clients
	// receive 503 and try again. It is oRPC's signingKey.
	//
	// A token names its channel but not its namespace. Use a separate key for each
	// namespace, or set Channels, so that tokens of other namespaces are not accepted.
	Verifier token.Verifier

	// Channels reports whether a channel with this name may exist in this namespace, for
	// example by its prefix. A token for any other channel is refused as invalid. Get is
	// not restricted. Nil allows every name.
	Channels func(name string) bool

	// MaxTokenBytes is the size of the largest token that is accepted; a larger one
	// is refused before it is verified. 0 means 8 KiB. Where tokens are made,
	// durableiterator.HandlerPlugin has the same limit.
	MaxTokenBytes int

	// ResumeRetention is how long events are kept for clients that reconnect. 0 means
	// that no events are kept: they have no ids, and a client that reconnects misses
	// those that were published meanwhile. It is oRPC's resumeRetentionSeconds.
	ResumeRetention time.Duration

	// Latest is the number of events with which a client begins if it subscribes without
	// a last event id, for example for the first time: the newest ones that are for it.
	// They have ids and are sent in order, before events that OnSubscribed sends, so every
	// client understands them. A client that is disconnected meanwhile resumes and misses
	// none. They are not older than ResumeRetention, which must be set. 0 means none, as
	// in oRPC.
	Latest int

	// LatestScan is how many of the newest events of the channel are read for Latest,
	// including events for other clients. At most 1 MiB is read. 0 means 1000, or Latest if
	// that is more.
	LatestScan int

	// Log stores events. Nil means a log in memory. The namespace does not close a Log
	// that is set here, and does not trim it unless TrimLog is set. Log requires
	// ResumeRetention, without which no events are stored. It should keep events for at
	// least that long: if it drops them earlier, resumes are truncated. A warning is
	// logged if the log implements eventlog.Expiring.
	//
	// Each namespace needs a separate log or an eventlog.Prefix of one. Two namespaces with
	// the same log share the events of channels with the same name; the second namespace
	// logs a warning.
	//
	// If the size of the log is limited, and other channels displace even the newest event
	// of a channel soon after it was published, the channel's next event closes its sockets
	// once, with code 1013; their clients reconnect.
	//
	// Event ids contain numbers that count the events of the whole log, so a client with a
	// token for one channel can see how many events all channels have. Tenants that must
	// not know this of each other need separate logs.
	//
	// The following applies only to several processes. An eventlog.Shared is a log that
	// several processes use, each with its own namespace: every socket then receives the
	// events of all of them, and a client may reconnect to any process. Each namespace needs
	// its own handle, or a Prefix. While the log cannot be reached, publishers receive its
	// error and clients 503; when its feed is lost, the sockets are closed with code 1012
	// and their clients resume from the log. Predicates fail with [ErrPredicate]. The clocks
	// of the processes may differ from the log's by 10 s. Each process has its own object for
	// a channel: keep state that must be shared elsewhere.
	Log eventlog.Log

	// Bus connects the nodes of the namespace for [Namespace.Disconnect],
	// [Namespace.Revoke] and presence, and stores the revocations. Each node needs its own
	// handle; other namespaces need another bus or an eventlog.PrefixBus. The namespace does
	// not close it. Nil means the bus of Log, if it has one: see eventlog.BusOf. Without a
	// bus these apply only to this process, and a warning is logged if the log is an
	// eventlog.Shared.
	//
	// If the bus is shared, because it is set here or is the bus of an eventlog.Shared, the
	// namespace sends a message every 2.5 s. If it has not reached the bus for more than
	// 10 s, it refuses clients with 503.
	Bus eventlog.Bus

	// Presence enables the lists of connected clients: see [Object.Presence]. Every node
	// then has all members of the namespace in memory, about 500 bytes each, and sends the
	// others a message for each client that joins or leaves. Nil disables it, at no cost.
	// It is copied.
	Presence *PresenceOptions

	// TrimLog makes the namespace delete events that are older than ResumeRetention
	// from Log. Do not set it if the log trims itself, such as a filelog with a Retention,
	// if it is shared with other namespaces, or if the history must be kept. An
	// eventlog.Shared is never trimmed. Events older than ResumeRetention are never
	// replayed. It requires Log.
	TrimLog bool

	// IdempotencyWindow is how long the default log, in memory, remembers the keys of
	// [WithIdempotencyKey]. It must not be longer than ResumeRetention. 0 means 2 min, or
	// ResumeRetention if that is shorter. A Log that is set has its own option for it.
	IdempotencyWindow time.Duration

	// Interceptors run around each request on a socket: "subscribe", "updateToken" and the
	// methods, whose Path is "call" followed by the method's path. The first one is
	// outermost.
	Interceptors []rpc.Interceptor

	// Plugins may add interceptors and serializers.
	Plugins []rpc.HandlerPlugin

	// Serializers are for types of the application, also in events. Clients need the same
	// ones. They are oRPC's customJsonSerializers.
	Serializers []value.Serializer

	// Validator checks the inputs of methods. Nil means the default of package rpc.
	Validator rpc.Validator

	// Subject returns the user that a token was issued to, for example from its attachment.
	// Targets and excludes then match subject and id together, so that knowing the id of
	// another user's client is useless without a token of that user. If it is nil, only the
	// id counts, which clients choose freely.
	Subject func(*token.Payload) string

	// MaxLagBytes limits the memory that a socket can use that reads too slowly. Beyond it,
	// the socket continues to read from the log; without a log, it is closed with code
	// 1013. Answers to calls and events of Websocket.Send wait while more than half of
	// MaxLagBytes is unread; a single one may be larger. 0 means 1 MiB.
	MaxLagBytes int

	// StallTimeout is how long a connection may accept no bytes while some are waiting to
	// be sent. It is then closed with code 1013, and its calls are canceled. A client that
	// reads slowly is not affected; with TLS in this process, it must read 16 KiB in that
	// time. 0 means 10 s.
	StallTimeout time.Duration

	// MaxMessageBytes is the size of the largest message of a client. A larger one closes
	// its socket with code 1009 as soon as its header arrives. 0 means 1 MiB.
	MaxMessageBytes int64

	// MessageTimeout is how long a message of a client may take from its first frame
	// to its last. If it takes longer, the socket is closed with code 1008. 0 means 30 s.
	MessageTimeout time.Duration

	// MaxCalls is how many calls of one socket may run at once, not counting open streams
	// of events. Further ones wait without being decoded; aborts and new tokens do not wait
	// for them. 0 means 256.
	MaxCalls int

	// MaxPendingBytes limits the messages of one socket's calls that wait or run. Each
	// message counts its size and 256 bytes, and 128 bytes for each of its headers and 16
	// for each value of a header. Beyond it, the socket is not read until a call has
	// returned; meanwhile the client is not considered silent. 0 means twice
	// MaxMessageBytes, but at least 128 KiB.
	MaxPendingBytes int

	// MaxStreams is how many streams of events of one socket may be open at once, besides
	// the subscription. Further ones are refused with TOO_MANY_REQUESTS. 0 means 100.
	MaxStreams int

	// HookTimeout is how long OnSubscribed may delay the live events of a subscription.
	// Then its context ends. It runs once at a time for each socket. If the socket
	// subscribes again while it runs, the new subscription sends its missed events and then
	// waits for the running hook, for at most HookTimeout. 0 means 10 s.
	HookTimeout time.Duration

	// IdleTimeout is how long an object without sockets and users stays in memory. 0 means
	// 10 min.
	IdleTimeout time.Duration

	// PingInterval is how long a socket may be silent before a ping is sent. After two
	// intervals of silence it is closed. A client that reads bytes that were waiting for it
	// is not silent. 0 means 30 s; a negative value means never.
	PingInterval time.Duration

	// Logger receives errors that are returned to no caller, and the causes for which clients
	// were refused: expired tokens and invalid handshakes at level Debug, all others at level
	// Warn, at most once in 10 s for each reason, with the number of those that were
	// suppressed. Tokens are not logged, unless they are in the errors of a Verifier that
	// has failed. Its handler is called on a separate goroutine, so
	// it may block and may use the namespace. Up to 1024 records wait for it; further ones
	// are dropped and counted. Its panics are ignored. Shutdown waits for it, for at most
	// HookTimeout. Nil means no logging.
	Logger *slog.Logger
}

// withDefaults returns a copy of the options with defaults, which shares no slices with them.
// The error has a sentence for each fault.
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

// check returns an error with a sentence for each fault.
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
