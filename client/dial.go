package client

import (
	"context"
	"fmt"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Dial opens an iterator with tokens of any origin, without package rpc on the way.
// It returns when the server has answered the subscription, or with the reason why
// that cannot be had: what the source says to the first token, what the server says
// to the first connection if its status is one of 400 to 499 but not 401, 408, 425 or
// 429, or that Options.ConnectTimeout is over.
//
// ctx is the life of the iterator, not only of Dial: when it ends, the iterator ends.
// Of the options [rpc.WithLastEventID] says where to begin, as [Iterator.LastEventID]
// of an earlier iterator did, and [rpc.WithHeader] adds to the request of each
// subscription, not to that which opens the socket.
func Dial[T any](ctx context.Context, src TokenSource, o *Options, opts ...rpc.CallOption) (*Iterator[T], error) {
	if src == nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, errNoSource)
	}
	cred, err := fetchCredential(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("client: dial: %w", err)
	}
	call, err := optionsOf(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("client: dial: %w", err)
	}
	return open[T](ctx, src, cred, o.clone(), call)
}

// optionsOf gives a call with what the options say.
func optionsOf(ctx context.Context, opts []rpc.CallOption) (call *rpc.Call, err error) {
	_, err = rpc.NewCaller(func(_ context.Context, c *rpc.Call) (any, error) {
		call = c
		return rpc.Void{}, nil
	}).Call(ctx, &rpc.Call{}, opts...)
	return call, err
}

// open starts an iterator with its first token, and waits until it is live. call has
// the last event id and the header of the subscriptions.
func open[T any](ctx context.Context, src TokenSource, cred credential, o Options, call *rpc.Call) (*Iterator[T], error) {
	c, err := newCore(src, cred, o, call)
	if err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancelCause(ctx)
	c.buffer = newBuffer(o.BufferSize, call.LastEventID, func() bool { return ctx.Err() != nil })
	go newSupervisor(c).run(ctx)
	select {
	case <-c.opened:
		return &Iterator[T]{c}, nil
	case <-c.done:
		return nil, c.closedError()
	}
}

func newCore(src TokenSource, cred credential, o Options, call *rpc.Call) (*core, error) {
	switch {
	case o.URLFunc == nil:
		if _, err := parseAddress(o.URL); err != nil {
			return nil, err
		}
	case o.URL != "":
		return nil, fmt.Errorf("%w: both URL and URLFunc", ErrOptions)
	}
	if o.RefreshTokenBeforeExpire != 0 && o.RefreshTokenBeforeExpireFunc != nil {
		return nil, fmt.Errorf("%w: both RefreshTokenBeforeExpire and RefreshTokenBeforeExpireFunc", ErrOptions)
	}
	if o.BufferSize < 0 {
		return nil, fmt.Errorf("%w: BufferSize is negative", ErrOptions)
	}
	id := o.CreateID(cred.payload)
	if id == "" {
		return nil, fmt.Errorf("%w: CreateID gave no id", ErrOptions)
	}
	c := &core{
		options: o,
		source:  src,
		id:      id,
		header:  call.Header,
		opened:  make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		cred:    cred,
	}
	c.peer = rpc.NewClientPeer(&rpc.ClientPeerOptions{Send: c.send, Flush: c.flush, Serializers: o.Serializers})
	c.caller = rpc.NewCaller(c.call, o.Interceptors...)
	return c, nil
}

// open opens the socket. The token does not get into errors.
func (c *core) open(ctx context.Context, cred credential) (*connection, error) {
	text := c.options.URL
	if c.options.URLFunc != nil {
		var err error
		if text, err = c.options.URLFunc(ctx, cred.payload); err != nil {
			return nil, fmt.Errorf("URLFunc: %w", err)
		}
	}
	address, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	conn, err := handshake(ctx, withCredentials(address, c.id, cred.text), cred.text, c.options.HTTPClient)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(c.options.MaxMessageBytes)
	return &connection{Conn: conn, cred: cred, done: make(chan struct{})}, nil
}
