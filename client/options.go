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
// A panic of a function that the iterator calls on its own goroutines is logged at level
// Error, with its stack. One of URLFunc, HTTPClient or a TokenSource fails that attempt,
// one of OnStateChange has no further effect, and one of RefreshTokenBeforeExpireFunc or
// Backoff ends the iterator with an [*rpc.PanicError]. One that calls runtime.Goexit fails
// the attempt too, or ends the iterator, OnStateChange among the latter.
type Options struct {
	// URL is the address at which WebSockets are opened, of scheme ws, wss, http or
	// https. The client's id and, depending on TokenPlace, the token are appended to its
	// query. A bad address is an error of [Dial] or [Subscribe] that wraps [ErrOptions].
	URL string
	// URLFunc returns the address of each connection, in place of URL, from the
	// token that it will be opened with. An error counts as a failed attempt.
	URLFunc func(ctx context.Context, p *token.Payload) (string, error)

	// TokenPlace is where the token is in the request that opens a WebSocket. 0 is
	// TokenInURL, and in browsers TokenInSubprotocol.
	TokenPlace TokenPlace

	// CreateID returns the id by which the server knows the client. It is called once
	// per iterator. A client that knows the id of another one can pass for it, unless
	// the server prevents that. Nil is a random id that cannot be guessed. oRPC:
	// createId.
	CreateID func(p *token.Payload) string

	// RefreshTokenBeforeExpire is how long before its expiry a token is replaced by
	// a new one. 0 or less is never: a new token is then fetched when the server has
	// refused the old one. oRPC: refreshTokenBeforeExpireInSeconds.
	//
	// The lifetime of a token, exp - iat, is counted from its arrival, so the clock of
	// this machine need not be right. If that is not between 0 and 366 days the clock
	// is asked, and tokens are then refreshed once a minute at the most.
	RefreshTokenBeforeExpire time.Duration
	// RefreshTokenBeforeExpireFunc returns that duration for each token, in place of
	// RefreshTokenBeforeExpire. It must return soon.
	RefreshTokenBeforeExpireFunc func(p *token.Payload) time.Duration
	// RefreshTokenDelay is the shortest time between a token and the next refresh,
	// also after one that has failed. 0 is 2 s. oRPC: refreshTokenDelayInSeconds.
	RefreshTokenDelay time.Duration

	// ConnectTimeout is how long a new iterator tries to connect before it fails. 0 is
	// 30 s, negative is no limit. Once it was connected, there is no limit.
	ConnectTimeout time.Duration
	// DialTimeout is how long one attempt may take: the handshake, or the answer to
	// a subscription, or a fetch of a token with its retries. 0 is 10 s. The first fetch is
	// different if it is retried by [rpc.WithRetry] or [rpc.Retry]: by [Dial] each try may
	// take as long, and those of [Subscribe] end with ctx alone.
	DialTimeout time.Duration
	// Backoff returns the pause before an attempt to connect; attempt is 1 for the
	// first one after a loss, and counts on until a connection has lasted 10 s. The
	// pause that the server asks for, by the retry of an event or by Retry-After, is
	// added, up to 5 min. Backoff is also called before another attempt to refresh
	// the token.
	//
	// Nil spreads clients evenly: the first attempt is within a second, and a server
	// that was away has them back within half of the time that it was, at least a
	// second and at most 30 s.
	Backoff func(attempt int) time.Duration
	// PingInterval is how often the server is pinged. A connection on which nothing
	// arrives for as long after a ping is lost. 0 is 30 s, negative is never. In browsers,
	// which send no pings, the server is asked for a heartbeat; a connection on which
	// nothing arrives for PingInterval, nor an answer within 8 s, is lost.
	PingInterval time.Duration

	// BufferSize and BufferBytes are how many events may wait to be read, and how
	// large their messages may be together. When there are more, the client drops what
	// arrives, and asks for it again once half of the buffer is read; calls go on. A
	// single event may be larger than BufferBytes. 0 is 1024 events and 16 MiB.
	BufferSize  int
	BufferBytes int
	// MaxMessageBytes is the size of the largest message that is accepted. A larger
	// one is skipped: an event becomes a gap with [GapUnreadable], and the call that
	// it is the answer to fails. 0 is 16 MiB.
	MaxMessageBytes int64

	// OnGap is called by [Iterator.All] where events are missing, in place of ending
	// the loop. It runs on the goroutine that ranges, in order: after the events before
	// the gap and before those after it. It may block, as to load the state that the
	// events had built up. ctx is that of the iterator: it ends when the iterator does.
	OnGap func(ctx context.Context, g *GapError)

	// OnStateChange is called for every change of the iterator's state, with its
	// cause: for StateWaiting the error of the connection, for StateClosed the reason
	// for its end, nil after Close. It is called by one goroutine, in
	// order, which does nothing else meanwhile: it must return soon.
	OnStateChange func(s State, err error)

	// Interceptors run around each call on the iterator and its retries, the first
	// one outermost.
	Interceptors []rpc.Interceptor
	// Plugins may add interceptors and serializers.
	Plugins []rpc.LinkPlugin
	// Serializers are types of the application that may be sent. A [LinkPlugin]
	// without any has those of its link.
	Serializers []value.Serializer

	// HTTPClient opens the WebSockets. Redirects are not followed. Nil is that of
	// the link for a [LinkPlugin], otherwise http.DefaultClient. It is not used in
	// browsers.
	HTTPClient *http.Client
	// Logger receives state changes at level Debug, and at level Warn that events are
	// read too slowly or a token could not be refreshed. Tokens are not logged. Nil
	// discards.
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
	o.Logger = asynclog.Guard(o.Logger) // it is called on goroutines of the iterator
}

// pauses returns the pauses of one iterator.
func (o *Options) pauses() func(attempt int) time.Duration {
	if o.Backoff != nil {
		return o.Backoff
	}
	return spread(mathrand.Float64)
}
