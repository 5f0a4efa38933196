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

// Call describes a call of a procedure. On a client it is passed from the caller to the
// transport, and on a server from the transport to the handler. Interceptors may change it before
// they pass it on. It must not be used concurrently.
type Call struct {
	// Path is the procedure's path, outermost group first.
	Path []string
	// Method is the HTTP method that the procedure declares. Empty means POST. It is only
	// used over HTTP.
	Method string
	// Input is the input of the procedure. On a server it is a [value.Value] for the
	// interceptors of the options, and has the decoded type for those of the procedure. A
	// stream of events has an opaque type for the former.
	Input any
	// New returns a pointer to decode the output into. If it is nil, the output is a
	// [value.Value]. Only clients use it. The output of an [EventProcedure] is that pointer.
	New func() any
	// LastEventID is the id of the last event that the caller has received, or "". It is for
	// procedures whose output is a stream of events.
	LastEventID string
	// Header is sent with the call: HTTP headers, or their counterpart on a socket. It may be
	// nil on a client, but not on a server.
	Header http.Header
	// ResponseHeader is the header of the response. On a server it is not nil, and the handler
	// and interceptors may add to it; on a client it is set when the call has returned.
	ResponseHeader http.Header

	validator Validator
	peer      *peer.Call // of a call that came over a socket
	state     any
}

// State returns the state of the call: on a server the value that
// transport.ServerPeerOptions.NewState has returned, on a client the value of [WithState], or nil.
// Copies of a call share it.
func (c *Call) State() any { return c.state }

// IdempotencyKey returns the key that the client has sent with the call and each of its retries,
// or "" if it has sent none: see [WithIdempotencyKey]. It may have any length, and other clients
// may send the same key. For an event that a method publishes, use durableobject.CallKey.
func (c *Call) IdempotencyKey() string {
	return strings.Join(c.Header.Values(headerIdempotency), ", ")
}

// DecodeInput decodes the input of a call on a server, which must be a [value.Value], into the
// value that into points to. Errors are those of [value.Value.Decode]. Only one input of a socket
// is decoded at a time, so that a client with large inputs uses at most one processor:
// DecodeInput waits for its turn, and returns the cause of ctx if ctx ends first.
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

// CallOf returns the call of a handler from the handler's context. The handler may read its Path,
// Header and LastEventID, and add to its ResponseHeader. For the handler of an [EventProcedure]
// it is too late to add to the ResponseHeader; an interceptor can.
func CallOf(ctx context.Context) (*Call, bool) {
	call, ok := ctx.Value(callKey{}).(*Call)
	return call, ok
}

// callKey is the context key of the running call.
type callKey struct{}

// withCall returns a context for which [CallOf] returns call. If call has no state, it is given
// that of the call in ctx.
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

// callError returns an error of a call that the server has not sent. If ctx has ended, it wraps
// the error of ctx, whatever err is.
func callError(ctx context.Context, call *Call, err error) error {
	return fmt.Errorf("rpc: call %s: %w", strings.Join(call.Path, "."), withCause(ctx, err))
}

// withCause returns err or, if ctx has ended, an error that also wraps the error of ctx.
func withCause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
