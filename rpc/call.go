package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Call is one call on its way: on a client from the caller to the transport, on
// a server from the transport to the handler. Interceptors may change it before
// they hand it on. It belongs to one goroutine at a time.
type Call struct {
	// Path is the procedure's path, outermost group first.
	Path []string
	// Method is the HTTP method that the procedure declares ("" is POST).
	// Only HTTP looks at it.
	Method string
	// Input is what the procedure is called with. On a server it is a [Value]
	// until the procedure's own interceptors run, which see the decoded type; an input
	// that is a stream of events is opaque until then.
	Input any
	// New gives a pointer to decode the output into. Nil leaves a [value.Value]. Only
	// clients look at it. The output of an [EventProcedure] is that pointer.
	New func() any
	// LastEventID is the id of the last event that the caller has seen, for
	// procedures whose output is a stream of events; "" is none.
	LastEventID string
	// Header is sent with the call: HTTP headers, or their counterpart on a
	// socket. Nil is empty on a client and never happens on a server.
	Header http.Header
	// ResponseHeader is the header of the answer. A server's handler and
	// interceptors may add to it (it is never nil there); on a client it is
	// there once the call is done.
	ResponseHeader http.Header

	validator Validator
	peer      *peer.Call // of a call that came over a socket
	state     any
}

// State returns the state that [ServerPeerOptions.NewState] made for the call, or on a
// client the value of [WithState], or nil. It is shared by the copies of a call.
func (c *Call) State() any { return c.state }

// DecodeInput decodes the input of a call that has come over a wire, which is a [Value],
// into what into points to; see [Value.Decode] for errors. Of the calls of one socket one
// is decoded at a time, so that a client with large inputs takes one processor at the
// most: DecodeInput waits for that, and returns the cause of ctx if it ends first. It is
// for servers and their interceptors.
func (c *Call) DecodeInput(ctx context.Context, into any) error {
	v, ok := c.Input.(value.Value)
	if !ok {
		return fmt.Errorf("rpc: decode input: it is a %T", c.Input)
	}
	if err := c.startDecoding(ctx); err != nil {
		return err
	}
	defer c.stopDecoding()
	return v.Decode(into)
}

func (c *Call) startDecoding(ctx context.Context) error {
	if c.peer == nil {
		return nil
	}
	return c.peer.StartDecoding(ctx)
}

func (c *Call) stopDecoding() {
	if c.peer != nil {
		c.peer.StopDecoding()
	}
}

// CallFunc carries out a call and gives its output.
type CallFunc func(ctx context.Context, call *Call) (any, error)

// Caller is what procedures are called on: a [Link], a [WebsocketLink], a
// [Router] in the same process, or a client iterator. Implementations are safe
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
}

type callOptionFunc func(*callOptions)

func (f callOptionFunc) applyToCall(o *callOptions) { f(o) }

// WithLastEventID names the last event that the caller has seen, so that a
// stream of events goes on behind it: oRPC's lastEventId. "" is none.
func WithLastEventID(id string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.call.LastEventID = id })
}

// WithHeader sends a header with the call. A name that is given several times
// is sent with all its values.
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

// NewCaller makes a [Caller] of a transport: it applies the options of a call,
// runs the interceptors around it, the first one outermost, and retries send as
// [Retry] says, inside of them. A context that has ended is not tried. It is for
// those who write a transport of their own; send gets a Call that it may keep and
// whose Header is not nil.
func NewCaller(send CallFunc, interceptors ...Interceptor) Caller {
	return &caller{send: send, interceptors: interceptors, once: Chain(interceptors, Retry{}.around(send))}
}

type caller struct {
	send         CallFunc
	interceptors []Interceptor
	once         CallFunc // what a call without retries goes through
}

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
		opt.applyToCall(&o)
	}
	out, err := Chain(c.interceptors, o.retry.around(c.send))(ctx, &own)
	call.ResponseHeader = own.ResponseHeader
	if o.responseHeader != nil {
		*o.responseHeader = own.ResponseHeader
	}
	return out, err
}

// CallOf gives the call that a handler carries out, by the context of the handler:
// its Path, Header and LastEventID, and its ResponseHeader, to which the handler may
// add. The handler of an [EventProcedure] is too late for the latter, as its answer
// has begun; an interceptor is not.
func CallOf(ctx context.Context) (*Call, bool) {
	call, ok := ctx.Value(callKey{}).(*Call)
	return call, ok
}

// callKey is the key of the running call in its context.
type callKey struct{}

// withCall returns a context in which [CallOf] finds a call. One without a state has
// that of the call that it is made within.
func withCall(ctx context.Context, call *Call) context.Context {
	outer, ok := CallOf(ctx)
	if ok && outer == call {
		return ctx
	}
	if ok && call.state == nil {
		call.state = outer.state
	}
	return context.WithValue(ctx, callKey{}, call)
}

// callError gives an error that did not come from the other side, in which
// errors.Is finds the end of ctx if it has ended, whatever err says.
func callError(ctx context.Context, call *Call, err error) error {
	return fmt.Errorf("rpc: call %s: %w", strings.Join(call.Path, "."), withCause(ctx, err))
}

// withCause gives err, in which errors.Is finds the end of ctx if it has ended.
func withCause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
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
