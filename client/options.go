package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// The defaults of Options.
const (
	DefaultRefreshTokenDelay = 2 * time.Second
	DefaultConnectTimeout    = 30 * time.Second
	DefaultDialTimeout       = 10 * time.Second
	DefaultPingInterval      = 30 * time.Second
	DefaultBufferSize        = 1024
	DefaultBufferBytes       = 16 << 20
	DefaultMaxMessageBytes   = 16 << 20
)

// Options configures an [Iterator], or every iterator of a link: see [LinkPlugin]. URL or
// URLFunc is required; the zero value of any other field is its default. Options are
// copied.
//
// If a function panics that the iterator calls on its own goroutines, the panic is logged at
// level Error, with its stack. If it is URLFunc, HTTPClient or a TokenSource, the current
// attempt fails; if it is RefreshTokenBeforeExpireFunc or Backoff, the iterator ends with an
// [*rpc.PanicError]; if it is OnStateChange, there is no further effect. A function that
// calls runtime.Goexit has the same effect, except that OnStateChange also ends the iterator.
type Options struct {
	// URL is the address for WebSockets, with scheme ws, wss, http or https. The client's
	// id and, depending on TokenPlace, the token are appended to its query. If it is
	// invalid, [Dial] and [Subscribe] return an error that wraps [ErrOptions].
	URL string
	// URLFunc returns the address for each connection, in place of URL, for the token
	// that the connection will be opened with. If it returns an error, the attempt fails.
	URLFunc func(ctx context.Context, p *token.Payload) (string, error)

	// TokenPlace is where the token is placed in the request that opens a WebSocket. 0
	// means TokenInURL, or in browsers TokenInSubprotocol.
	TokenPlace TokenPlace

	// CreateID returns the id that identifies the client at the server. It is called once
	// per iterator. A client that knows the id of another one can impersonate it, unless
	// the server prevents that. Nil means a random id that cannot be guessed. It is oRPC's
	// createId.
	CreateID func(p *token.Payload) string

	// RefreshTokenBeforeExpire is how long before the expiry of a token a new one is
	// fetched. 0 or less means never: a new token is then fetched when the server has
	// refused the old one. It is oRPC's refreshTokenBeforeExpireInSeconds.
	//
	// The lifetime of a token, exp - iat, is counted from its arrival, so the clock of
	// this machine does not have to be right. If that is not between 0 and 366 days, the
	// clock is used, and tokens are then refreshed at most once a minute. If it is not longer
	// than RefreshTokenBeforeExpire and RefreshTokenDelay, which is logged, tokens are
	// refreshed after RefreshTokenDelay, and may have expired by then.
	RefreshTokenBeforeExpire time.Duration
	// RefreshTokenBeforeExpireFunc returns this duration for each token, in place of
	// RefreshTokenBeforeExpire. It must return soon.
	RefreshTokenBeforeExpireFunc func(p *token.Payload) time.Duration
	// RefreshTokenDelay is the minimum time between fetching a token and the next
	// refresh, also after a failure. 0 means 2 s. It is oRPC's refreshTokenDelayInSeconds.
	RefreshTokenDelay time.Duration

	// ConnectTimeout is how long a new iterator tries to connect before it fails. 0 means
	// 30 s; a negative value means no limit. Once it was connected, there is no limit.
	ConnectTimeout time.Duration
	// DialTimeout is how long one attempt may take: a handshake, a subscription, or
	// fetching a token with its retries. 0 means 10 s. If [rpc.WithRetry] or [rpc.Retry]
	// repeats the first fetch, [Dial] limits each try to DialTimeout, and [Subscribe] limits
	// none: only ctx ends them.
	DialTimeout time.Duration
	// Backoff returns the pause before an attempt to connect. attempt is 1 for the first
	// attempt after a loss, and increases until a connection has lasted 10 s. The pause
	// that the server asks for, by the retry of an event or by Retry-After, is added, up
	// to 5 min. Backoff is also called before another attempt to refresh the token.
	//
	// Nil means the default, which spreads clients evenly: the first attempt is made
	// within a second, and after an outage of the server its clients are back within half
	// of the time of the outage, or within a second if that is longer, and at most 30 s.
	Backoff func(attempt int) time.Duration
	// PingInterval is how often the server is pinged. If nothing arrives for as long
	// after a ping, the connection is lost. 0 means 30 s; a negative value means never.
	// Browsers cannot send pings; there the server is asked for heartbeats, and if nothing
	// arrives for PingInterval, nor the answer to a request within 8 s, the connection is
	// lost.
	PingInterval time.Duration

	// BufferSize and BufferBytes are the maximum number of unread events, and the maximum
	// size of their messages together. If there are more, the client stops reading the
	// socket until half of the buffer is read, which slows the server down. It does so for at
	// most 2 s, or half of PingInterval if that is shorter, if loops read less than 64 KiB per
	// second, or 256 KiB with TLS, and not during a call or a stream of a method. After that it drops events that
	// arrive, and requests them again once half of the buffer is read, so calls are not
	// affected. A single event may be larger than BufferBytes. 0 means 1024 events and 16 MiB.
	BufferSize  int
	BufferBytes int
	// MaxMessageBytes is the size of the largest message that is accepted. A larger one
	// is skipped: if it is an event, there is a gap with [GapUnreadable]; if it is the
	// answer to a call, the call fails. 0 means 16 MiB.
	MaxMessageBytes int64

	// OnGap is called by [Iterator.All] when events are missing; the loop then continues.
	// It is called on the goroutine that ranges, after the events before the gap and
	// before those after it. It may block, for example to reload the state that the
	// events describe. ctx ends when the iterator ends. Without OnGap the gap ends the
	// loop.
	OnGap func(ctx context.Context, g *GapError)

	// OnStateChange is called for every change of the iterator's state, in order. err is
	// the error of the connection for StateWaiting, and the reason for StateClosed, which
	// is nil after Close. It must return soon: the iterator waits for it.
	OnStateChange func(s State, err error)

	// Interceptors run around each call on the iterator and its retries, the first
	// one outermost.
	Interceptors []rpc.Interceptor
	// Plugins may add interceptors and serializers.
	Plugins []rpc.LinkPlugin
	// Serializers are for types of the application. If a [LinkPlugin] has none, those of
	// its link are used.
	Serializers []value.Serializer

	// HTTPClient opens the WebSockets. It does not follow redirects. Nil means that of
	// the link for a [LinkPlugin], and otherwise http.DefaultClient. It is not used in
	// browsers.
	HTTPClient *http.Client
	// Logger receives state changes at level Debug, and warnings: that events are read too
	// slowly, at most every 10 s; why a new iterator could not connect or fetch its first
	// token yet, once for each reason; that a token could not be refreshed, or lives too short
	// a time for that. Tokens are not logged. Nil means no logging.
	Logger *slog.Logger

	// watch is dial.Watch, except in tests.
	watch func() (changes <-chan dial.Change, stop func())
}

// clone copies the options and lets the plugins change the copy. The error wraps
// [ErrOptions].
func (o *Options) clone() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if err := c.check(); err != nil {
		return c, err
	}
	link := rpc.LinkOptions{
		HTTPClient:   c.HTTPClient,
		Interceptors: slices.Clone(c.Interceptors),
		Serializers:  slices.Clone(c.Serializers),
	}
	for _, plugin := range c.Plugins {
		plugin.InitLink(&link)
	}
	c.HTTPClient, c.Interceptors, c.Serializers = link.HTTPClient, link.Interceptors, link.Serializers
	c.setDefaults()
	var list faults.List
	faults.Nil(&list, "an interceptor of a plugin", c.Interceptors)
	_, err := serializer.New(c.Serializers...)
	list.If(err != nil, "Serializers: %v", err)
	return c, optionsError(&list)
}

// check returns an error that wraps [ErrOptions], with a sentence for each fault.
func (o *Options) check() error {
	var list faults.List
	if o.URLFunc == nil {
		_, err := parseAddress(o.URL)
		list.If(err != nil, "%v", err)
	}
	list.If(o.URLFunc != nil && o.URL != "", "both URL and URLFunc")
	list.If(o.RefreshTokenBeforeExpire != 0 && o.RefreshTokenBeforeExpireFunc != nil,
		"both RefreshTokenBeforeExpire and RefreshTokenBeforeExpireFunc")
	list.If(!o.TokenPlace.valid(), "TokenPlace %d", o.TokenPlace)
	faults.Negative(&list, "RefreshTokenDelay", o.RefreshTokenDelay)
	faults.Negative(&list, "DialTimeout", o.DialTimeout)
	faults.Negative(&list, "BufferSize", o.BufferSize)
	faults.Negative(&list, "BufferBytes", o.BufferBytes)
	faults.Negative(&list, "MaxMessageBytes", o.MaxMessageBytes)
	faults.Nil(&list, "an interceptor", o.Interceptors)
	faults.Nil(&list, "a plugin", o.Plugins)
	return optionsError(&list)
}

func optionsError(list *faults.List) error {
	if len(*list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrOptions, list.Err())
}

func (o *Options) setDefaults() {
	o.TokenPlace = o.TokenPlace.withDefault()
	o.RefreshTokenDelay = cmp.Or(o.RefreshTokenDelay, DefaultRefreshTokenDelay)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, DefaultConnectTimeout)
	o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	o.BufferSize = cmp.Or(o.BufferSize, DefaultBufferSize)
	o.BufferBytes = cmp.Or(o.BufferBytes, DefaultBufferBytes)
	o.MaxMessageBytes = cmp.Or(o.MaxMessageBytes, DefaultMaxMessageBytes)
	o.HTTPClient = cmp.Or(o.HTTPClient, http.DefaultClient)
	if o.CreateID == nil {
		o.CreateID = func(*token.Payload) string { return rand.Text() }
	}
	if o.OnStateChange == nil {
		o.OnStateChange = func(State, error) {}
	}
	if o.watch == nil {
		o.watch = dial.Watch
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = asynclog.Guard(o.Logger) // a panic of its handler must not end the iterator's goroutines
}

// pauses returns the pauses of one iterator.
func (o *Options) pauses() func(attempt int) time.Duration {
	if o.Backoff != nil {
		return o.Backoff
	}
	return spread(mathrand.Float64)
}
