package client

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// Dial opens an iterator with tokens from src. To open one with the token of a procedure of
// package rpc, use [Subscribe].
//
// Dial returns when the server has answered the subscription, or with an error: that of src
// for the first token, that of the first connection if the server refuses it with a status
// from 400 to 499 other than 401, 408, 425 and 429, or with 501, or a timeout after
// Options.ConnectTimeout. If options are wrong, the error wraps [ErrOptions].
//
// ctx is the context of the iterator, not only of Dial: when it ends, the iterator ends.
//
// These options of a call have an effect. [rpc.WithLastEventID] sets the id of the event
// after which to begin, such as [Iterator.LastEventID] of an earlier iterator.
// [rpc.WithHeader] adds headers to the request of each subscription, not to the request that
// opens the socket. [rpc.WithRetry] and [rpc.Retry] apply to fetching each token.
// [rpc.WithResponseHeader] stores the response header of the first subscription before Dial
// returns.
func Dial[T any](ctx context.Context, src TokenSource, o *Options, opts ...rpc.CallOption) (*Iterator[T], error) {
	if src == nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, errNoSource)
	}
	options, err := o.clone()
	if err != nil {
		return nil, err
	}
	begin, err := optionsOf(ctx, opts)
	if err != nil {
		return nil, prefixed("client: dial", err)
	}
	src = withTimeout(src, options.DialTimeout)
	logger := func() *slog.Logger { return options.Logger }
	cred, err := fetchCredential(ctx, withOptions(src, withRetryLog(ctx, opts, logger)))
	if err != nil {
		return nil, prefixed("client: dial", err)
	}
	it, err := open[T](ctx, withOptions(src, opts), cred, options, begin)
	if err != nil {
		return nil, err
	}
	storeHeader(opts, it.core.answer)
	return it, nil
}

// optionsOf returns a call with the values of the options, except for the idempotency key,
// which is used only for fetching a token.
func optionsOf(ctx context.Context, opts []rpc.CallOption) (call *rpc.Call, err error) {
	_, err = rpc.NewCaller(func(_ context.Context, c *rpc.Call) (any, error) {
		call = c
		return rpc.Void{}, nil
	}).Call(ctx, &rpc.Call{}, append(slices.Clip(opts), rpc.WithIdempotencyKey(""))...)
	return call, err
}

// withTimeout returns a source whose fetches end after d. Without it, the first one would
// wait forever for a server that accepts the connection and does not answer.
func withTimeout(src TokenSource, d time.Duration) TokenSource {
	return TokenFunc(func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return src.Token(ctx)
	})
}

// withOptions returns a source that fetches tokens with the options, such as retries.
func withOptions(src TokenSource, opts []rpc.CallOption) TokenSource {
	if len(opts) == 0 {
		return src
	}
	opts = withoutHeader(opts)
	fetch := rpc.NewCaller(func(ctx context.Context, _ *rpc.Call) (any, error) { return src.Token(ctx) })
	return TokenFunc(func(ctx context.Context) (string, error) {
		out, err := fetch.Call(ctx, &rpc.Call{Path: []string{"token"}}, opts...)
		tok, _ := out.(string)
		return tok, err
	})
}

// withoutHeader returns options without [rpc.WithResponseHeader]: the header that it points
// to belongs to the application once it has its iterator.
func withoutHeader(opts []rpc.CallOption) []rpc.CallOption {
	return append(slices.Clip(opts), rpc.WithResponseHeader(new(http.Header)))
}

// storeHeader stores a header where the options ask for it.
func storeHeader(opts []rpc.CallOption, header http.Header) {
	_, _ = rpc.NewCaller(func(_ context.Context, c *rpc.Call) (any, error) { // cannot fail
		c.ResponseHeader = header
		return rpc.Void{}, nil
	}).Call(context.Background(), &rpc.Call{}, opts...)
}

// open starts an iterator with its first token, and waits until it is live. begin has
// the last event id and the header of the subscriptions, and the path of the procedure.
func open[T any](ctx context.Context, src TokenSource, cred credential, o Options, begin *rpc.Call) (*Iterator[T], error) {
	c, err := newCore(src, cred, o, begin)
	if err != nil {
		return nil, err
	}
	c.life, c.cancel = context.WithCancelCause(ctx)
	c.buffer = newBuffer(o.BufferSize, o.BufferBytes, begin.LastEventID, func() bool { return c.life.Err() != nil })
	go newSupervisor(c).run(c.life)
	select {
	case <-c.opened:
		return &Iterator[T]{c}, nil
	case <-c.done:
		return nil, c.closedError()
	case <-ctx.Done():
		c.join()
		return nil, cmp.Or(c.closedError(), causeOf(ctx))
	}
}

func newCore(src TokenSource, cred credential, o Options, begin *rpc.Call) (*core, error) {
	id := o.CreateID(cred.payload)
	if id == "" {
		return nil, fmt.Errorf("%w: CreateID has returned no id", ErrOptions)
	}
	c := &core{
		options: o,
		source:  src,
		id:      id,
		path:    strings.Join(begin.Path, "."),
		header:  begin.Header,
		opened:  make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	c.app.logger = o.Logger
	c.setCredential(cred)
	c.peer = transport.NewClientPeer(&transport.ClientPeerOptions{Send: c.send, Flush: c.flush, Serializers: o.Serializers})
	c.caller = rpc.NewCaller(c.call, o.Interceptors...)
	return c, nil
}
