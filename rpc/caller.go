package rpc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Caller calls procedures: a [Link], a websocket.Link, a [Router] in the same process, or a
// client.Iterator. Implementations must be safe for concurrent use. [NewCaller] returns one for a
// [CallFunc].
type Caller interface {
	Call(ctx context.Context, call *Call, opts ...CallOption) (any, error)
}

// CallOption configures a call.
type CallOption interface{ applyToCall(o *callOptions) }

type callOptions struct {
	call           *Call
	retry          Retry
	responseHeader *http.Header
	key            *string // of WithIdempotencyKey
}

type callOptionFunc func(*callOptions)

func (f callOptionFunc) applyToCall(o *callOptions) { f(o) }

// WithLastEventID sets the id of the last event that the caller has received, after which a stream
// of events continues. It is oRPC's lastEventId. "" means none.
func WithLastEventID(id string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.call.LastEventID = id })
}

// WithHeader sends a header with the call. If the same name is used several times, all values
// are sent.
func WithHeader(name, value string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.call.Header.Add(name, value) })
}

// WithState sets the call's state, which interceptors of the client read with [Call.State]. It is
// not sent. If v is nil, it has no effect.
func WithState(v any) CallOption {
	return callOptionFunc(func(o *callOptions) {
		if v != nil {
			o.call.state = v
		}
	})
}

// WithResponseHeader stores the response header in *into when the call returns, or nil if there
// was no response.
func WithResponseHeader(into *http.Header) CallOption {
	return callOptionFunc(func(o *callOptions) { o.responseHeader = cmp.Or(into, o.responseHeader) })
}

// maxIdempotencyKey is the maximum length of the key of a call.
const maxIdempotencyKey = 128

var errIdempotencyKey = errors.New("idempotency key is not 1 to 128 visible ASCII characters")

// WithIdempotencyKey sends key in the header "idempotency-key" of the call and each of its retries,
// over HTTP and over sockets, so that the server recognizes them as repetitions: see
// [Call.IdempotencyKey]. A call with a [Retry] has a random key by default. Set a key if the
// application itself repeats a call, perhaps in another process; calls that are not repetitions
// must have different keys. A key has up to 128 visible ASCII characters; otherwise the call fails.
// "" means no key. oRPC has no counterpart.
func WithIdempotencyKey(key string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.key = &key })
}

// WithRetry repeats a call that fails up to n times, every 2 s, unless a further try cannot
// succeed: see [Retry.If]. It is Retry{Max: n}.
func WithRetry(n int) CallOption { return Retry{Max: n} }

func (r Retry) applyToCall(o *callOptions) { o.retry = r }

// NewCaller returns a [Caller] that applies the options of a call, runs the interceptors around
// it, the first one outermost, and calls send inside of them, repeatedly if the call has a
// [Retry]. If the context has already ended, send is not called. send may keep its Call, whose
// Header is not nil. NewCaller is for implementing transports.
func NewCaller(send CallFunc, interceptors ...Interceptor) Caller {
	return &caller{send: send, interceptors: interceptors, once: Chain(interceptors, Retry{}.around(send))}
}

type caller struct {
	send         CallFunc
	interceptors []Interceptor
	once         CallFunc // send with the interceptors, for calls without retries
}

var errNilOption = errors.New("an option is nil")

func (c *caller) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	own := *call
	own.ResponseHeader = nil
	own.Header = call.Header.Clone()
	if own.Header == nil {
		own.Header = http.Header{}
	}
	run, responseHeader := c.once, &call.ResponseHeader // or that of WithResponseHeader
	if len(opts) > 0 {
		o := callOptions{call: &own, responseHeader: responseHeader}
		for _, opt := range opts {
			if opt == nil {
				return nil, callError(ctx, &own, errNilOption)
			}
			opt.applyToCall(&o)
		}
		if err := o.identify(); err != nil {
			return nil, callError(ctx, &own, err)
		}
		run, responseHeader = Chain(c.interceptors, o.retry.around(c.send)), o.responseHeader
	}
	out, err := run(ctx, &own)
	call.ResponseHeader, *responseHeader = own.ResponseHeader, own.ResponseHeader
	return out, err
}

// identify sets the header of the idempotency key.
func (o *callOptions) identify() error {
	header := o.call.Header
	switch {
	case o.key != nil && *o.key == "":
		header.Del(headerIdempotency)
	case o.key != nil:
		if !isIdempotencyKey(*o.key) {
			return errIdempotencyKey
		}
		header.Set(headerIdempotency, *o.key)
	case o.retry.Max > 0 && len(header.Values(headerIdempotency)) == 0:
		if _, streams := streamOf(o.call.Input); !streams { // calls with streams are not repeated
			header.Set(headerIdempotency, rand.Text())
		}
	}
	return nil
}

func isIdempotencyKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(key) <= maxIdempotencyKey
}

// readAnswer returns the output or the error of a response whose body is an encoded value.
func readAnswer(call *Call, status int, header http.Header, body value.Value) (any, error) {
	if !isErrorStatus(status) {
		return decodeOutput(call, body)
	}
	if e, ok := readError(body); ok {
		return nil, e
	}
	return nil, ErrorResponse{Status: status, Headers: header, Body: body}.err()
}

// outputError returns the error of an answer: err if the server has sent it, and otherwise that
// of a call whose answer cannot be read.
func outputError(ctx context.Context, call *Call, err error) error {
	if _, sent := findError(err); err == nil || sent {
		return err
	}
	return callError(ctx, call, err)
}

// decodeOutput decodes a response into the type that the caller wants.
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
		return nil, peer.Final(fmt.Errorf("decode output: %w", err)) // the method has run
	}
	return reflect.ValueOf(p).Elem().Interface(), nil
}
