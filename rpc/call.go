package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Call is one call: on a client on the way from the caller to the transport, on a server from
// the transport to the handler. Interceptors may change it before they pass it on. It belongs
// to one goroutine at a time.
type Call struct {
	// Path is the procedure's path, outermost group first.
	Path []string
	// Method is the HTTP method that the procedure declares ("" is POST).
	// Only HTTP uses it.
	Method string
	// Input is the input of the procedure. On a server it is a [value.Value]
	// until the procedure's own interceptors run, which see the decoded type; an input
	// that is a stream of events is opaque until then.
	Input any
	// New returns a pointer to decode the output into. Nil leaves a [value.Value]. Only
	// clients use it. The output of an [EventProcedure] is that pointer.
	New func() any
	// LastEventID is the id of the last event that the caller has seen, for
	// procedures whose output is a stream of events; "" is none.
	LastEventID string
	// Header is sent with the call: HTTP headers, or their counterpart on a
	// socket. It may be nil on a client, and is not on a server.
	Header http.Header
	// ResponseHeader is the header of the answer. A server's handler and
	// interceptors may add to it (it is never nil there); on a client it is set when
	// the call has returned.
	ResponseHeader http.Header

	validator Validator
	peer      *peer.Call // of a call that came over a socket
	state     any
}

// State returns the state that transport.ServerPeerOptions.NewState made for the call, or
// on a client the value of [WithState], or nil. It is shared by the copies of a call.
func (c *Call) State() any { return c.state }

// IdempotencyKey returns the key that the client has sent with the call and with each of
// its retries, see [WithIdempotencyKey], or "" if it has sent none. It may be of any
// length, and other clients may send the same. For an event that a method publishes use
// durableobject.CallKey.
func (c *Call) IdempotencyKey() string {
	return strings.Join(c.Header.Values(headerIdempotency), ", ")
}

// DecodeInput decodes the input of a call that a client has sent, which is a [value.Value],
// into the value that into points to; see [value.Value.Decode] for errors. Of the calls of one
// socket one is decoded at a time, so that a client with large inputs takes at most one
// processor: DecodeInput waits for that, and returns the cause of ctx if it ends first. It is
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

// CallFunc runs a call and returns its output.
type CallFunc func(ctx context.Context, call *Call) (any, error)

// CallOf returns the call that a handler runs, from the context of the handler:
// its Path, Header and LastEventID, and its ResponseHeader, to which the handler may
// add. The handler of an [EventProcedure] cannot add to the latter, as its answer
// has begun; an interceptor can.
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

// callError returns an error that did not come from the server. If ctx has ended, errors.Is
// finds that in it, whatever err is.
func callError(ctx context.Context, call *Call, err error) error {
	return fmt.Errorf("rpc: call %s: %w", strings.Join(call.Path, "."), withCause(ctx, err))
}

// withCause returns err. If ctx has ended, errors.Is finds that in it.
func withCause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
