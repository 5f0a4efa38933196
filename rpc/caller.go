package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Caller is what procedures are called on: a [Link], a
// websocket.Link, a [Router] in the same process, or a client iterator. Implementations are safe
// for concurrent use. [NewCaller] makes one from a [CallFunc].
type Caller interface {
	Call(ctx context.Context, call *Call, opts ...CallOption) (any, error)
}

// CallOption changes one call.
type CallOption interface{ applyToCall(o *callOptions) }

type callOptions struct {
	call           *Call
	retry          Retry
	responseHeader *http.Header
	key            *string // of WithIdempotencyKey
}

type callOptionFunc func(*callOptions)

func (f callOptionFunc) applyToCall(o *callOptions) { f(o) }

// WithLastEventID names the last event that the caller has seen, so that a
// stream of events goes on after it: oRPC's lastEventId. "" is none.
func WithLastEventID(id string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.call.LastEventID = id })
}

// WithHeader sends a header with the call. A name that is set several times is sent with
// all its values.
func WithHeader(name, value string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.call.Header.Add(name, value) })
}

// WithState makes v the call's state, which interceptors of the client read with
// [Call.State]. It is not sent. A nil v has no effect.
func WithState(v any) CallOption {
	return callOptionFunc(func(o *callOptions) {
		if v != nil {
			o.call.state = v
		}
	})
}

// WithResponseHeader stores the header of the answer in *into when the call is
// done, nil if there was no answer.
func WithResponseHeader(into *http.Header) CallOption {
	return callOptionFunc(func(o *callOptions) { o.responseHeader = into })
}

// WithRetry calls up to n more times when a call fails, 2 s apart, unless the server has
// refused it for good: see [Retry.If]. It is Retry{Max: n}.
func WithRetry(n int) CallOption { return Retry{Max: n} }

func (r Retry) applyToCall(o *callOptions) { o.retry = r }

// NewCaller makes a [Caller] of a transport: it applies the options of a call,
// runs the interceptors around it, the first one outermost, and retries send inside of
// them as the [Retry] of the call specifies. A context that has ended is not tried. It is
// for transports of one's own; send receives a Call that it may keep and whose Header is
// not nil.
func NewCaller(send CallFunc, interceptors ...Interceptor) Caller {
	return &caller{send: send, interceptors: interceptors, once: Chain(interceptors, Retry{}.around(send))}
}

type caller struct {
	send         CallFunc
	interceptors []Interceptor
	once         CallFunc // what a call without retries goes through
}

var errNilOption = errors.New("an option is nil")

func (c *caller) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	own := *call
	own.ResponseHeader = nil
	own.Header = call.Header.Clone()
	if own.Header == nil {
		own.Header = http.Header{}
	}
	if len(opts) == 0 {
		out, err := c.once(ctx, &own)
		call.ResponseHeader = own.ResponseHeader
		return out, err
	}
	o := callOptions{call: &own}
	for _, opt := range opts {
		if opt == nil {
			return nil, callError(ctx, &own, errNilOption)
		}
		opt.applyToCall(&o)
	}
	if err := o.identify(); err != nil {
		return nil, callError(ctx, &own, err)
	}
	out, err := Chain(c.interceptors, o.retry.around(c.send))(ctx, &own)
	call.ResponseHeader = own.ResponseHeader
	if o.responseHeader != nil {
		*o.responseHeader = own.ResponseHeader
	}
	return out, err
}

// readAnswer returns the output of an answer whose body is an encoded value, or the
// error that it stands for.
func readAnswer(call *Call, status int, header http.Header, body value.Value) (any, error) {
	if !isErrorStatus(status) {
		return decodeOutput(call, body)
	}
	if e, ok := readError(body); ok {
		return nil, e
	}
	return nil, ErrorResponse{Status: status, Headers: header, Body: body}.err()
}

// decodeOutput reads an answer into the type that the caller wants.
func decodeOutput(call *Call, v value.Value) (any, error) {
	if call.New == nil {
		return v, nil
	}
	p := call.New()
	if _, void := p.(*Void); void {
		return Void{}, nil
	}
	if _, wanted := streamOf(p); wanted {
		return nil, errNoStream
	}
	if err := v.Decode(p); err != nil {
		return nil, fmt.Errorf("decode output: %w", err)
	}
	return reflect.ValueOf(p).Elem().Interface(), nil
}
