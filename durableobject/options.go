package durableobject

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
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
)

// minPendingBytes is the least default of Options.MaxPendingBytes.
const minPendingBytes = 128 << 10

// Options configures a Namespace. Verifier is required; the zero value of
// everything else is its default. Options are copied: changes after
// [NewNamespace] have no effect.
type Options struct {
	// Verifier checks the tokens of connecting clients: a token.Secret, a
	// token.Keyring or a token.JWT. oRPC: signingKey.
	Verifier token.Verifier

	// ResumeRetention is how long events are kept for clients that come back. 0
	// keeps nothing: events have no ids, and a client that reconnects has missed
	// what was published meanwhile. oRPC: resumeRetentionSeconds.
	ResumeRetention time.Duration

	// Log is where events are kept. Nil is a log in memory of the namespace's own.
	// A log that is given here is not closed by the namespace. Not used without
	// ResumeRetention.
	//
	// If the log is bounded by size, and other channels push out even the latest
	// event of a channel soon after it was published, the channel's next event closes
	// its sockets once, with 1013; their clients come back.
	Log eventlog.Log

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

	// Subject tells whose token it is, for instance from its attachment. With it,
	// targets and excludes match subject and id together, so that knowing the id
	// of somebody's socket is worth nothing without a token of that subject. Nil:
	// the id alone counts, which clients choose freely.
	Subject func(*token.Payload) string

	// MaxLagBytes bounds the memory that a socket which reads too slowly can hold.
	// Beyond it the socket reads on from the log; if there is none, it is closed with
	// 1013. Answers to calls, and what Websocket.Send sends, wait for room while more
	// than half of it is unread; a single one may be larger. 0 is 1 MiB.
	MaxLagBytes int

	// StallTimeout is how long a connection may accept no bytes while some wait to be
	// sent. Then it is closed with 1013, and its calls are cancelled. A client that reads
	// slowly, but reads, is kept. 0 is 10 s.
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
	// message counts its own size and 256 bytes. Beyond it the socket is not read until
	// a call has returned, and the client's silence does not count meanwhile. 0 is twice
	// MaxMessageBytes, at least 128 KiB.
	MaxPendingBytes int

	// MaxStreams is how many streams of events of one socket may be open at once. A
	// further one is refused with TOO_MANY_REQUESTS, but for the subscription. 0 is 100.
	MaxStreams int

	// HookTimeout is how long OnSubscribed may keep live events from a socket.
	// Its context ends then. It runs once at a time for each socket: of the
	// subscriptions that come meanwhile the newest waits for it. 0 is 10 s.
	HookTimeout time.Duration

	// IdleTimeout is how long an object without sockets and users stays in
	// memory. 0 is 10 min.
	IdleTimeout time.Duration

	// PingInterval is how long a socket may be silent before it is sent a ping. It
	// is closed after two of them without a sign of life. 0 is 30 s, negative is
	// never.
	PingInterval time.Duration

	// Logger gets what nobody else is told. Tokens are not logged. Nil discards.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	c.MaxLagBytes = cmp.Or(c.MaxLagBytes, DefaultMaxLagBytes)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, DefaultMaxMessageBytes)
	c.MaxCalls = cmp.Or(c.MaxCalls, DefaultMaxCalls)
	c.MaxPendingBytes = cmp.Or(c.MaxPendingBytes, max(2*int(c.MaxMessageBytes), minPendingBytes))
	c.MaxStreams = cmp.Or(c.MaxStreams, DefaultMaxStreams)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, DefaultMessageTimeout)
	c.StallTimeout = cmp.Or(c.StallTimeout, DefaultStallTimeout)
	c.HookTimeout = cmp.Or(c.HookTimeout, DefaultHookTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.PingInterval = cmp.Or(c.PingInterval, DefaultPingInterval)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
