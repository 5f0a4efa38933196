package durableobject

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// The procedures of every socket, besides "subscribe". A call of a method of the application is the
// input of "call".
var (
	updateTokenProcedure = rpc.Define[updateTokenInput, rpc.Void]("updateToken")
	callProcedure        = rpc.Define[callInput, rpc.Void]("call")
)

type updateTokenInput struct {
	Token *string `json:"token" validate:"required"` // required, but may be empty
}

type callInput struct {
	Path  []string    `json:"path" validate:"min=1"`
	Input value.Value `json:"input"`
}

// newPeers returns the peers that answer the requests of the namespace's sockets.
func (c *core) newPeers() *transport.ServerPeers {
	return transport.NewServerPeers(&transport.ServerPeerOptions{
		Handle: func(ctx context.Context, call *rpc.Call) (any, error) {
			c, ok := call.State().(*callState)
			if !ok {
				return nil, errLostContext
			}
			return c.ws.handle(ctx, call)
		},
		Serializers:     c.options.Serializers,
		Validator:       c.options.Validator,
		Urgent:          []string{"subscribe", updateTokenProcedure.Path()},
		MaxCalls:        c.options.MaxCalls,
		MaxStreams:      c.options.MaxStreams,
		MaxPendingBytes: c.options.MaxPendingBytes,
		Logger:          c.logger,
	})
}

// callState is the state of a call on a socket while it runs.
type callState struct {
	activity  activity
	ws        *Websocket
	published atomic.Uint64 // Seq of the last event that its handler has published
}

// note records that the call has published an event. It may be a repetition of an earlier event.
func (c *callState) note(seq uint64) {
	for {
		last := c.published.Load()
		if seq <= last || c.published.CompareAndSwap(last, seq) {
			return
		}
	}
}

func (ws *Websocket) newCallState() any { return &callState{ws: ws} }

// stateOf returns the state of the call with the context ctx.
func stateOf(ctx context.Context) (*callState, bool) {
	call, ok := rpc.CallOf(ctx)
	if !ok {
		return nil, false
	}
	state, ok := call.State().(*callState)
	return state, ok
}

// send sends an answer, or an event of a stream, after the events that the call has published. It
// waits for a client that reads slowly.
func (ws *Websocket) send(ctx context.Context, message []byte, binary bool) error {
	var after uint64
	if c, ok := stateOf(ctx); ok {
		after = c.published.Load()
		// The reader must know the events that the answer waits for. If an event has not
		// arrived in time, later events of a stream do not wait for it again.
		if after > 0 && !ws.ch.events.Settle(ctx, &ws.reader, after) {
			c.published.CompareAndSwap(after, 0)
		}
	}
	return ws.outbox.Put(ctx, socket.Frame(message, binary), after)
}

// handle runs a request with the namespace's interceptors. For a method, the path that they see is
// "call" followed by the method's path.
func (ws *Websocket) handle(ctx context.Context, call *rpc.Call) (any, error) {
	var run rpc.CallFunc
	result := "" // the result that is counted
	switch strings.Join(call.Path, ".") {
	case "subscribe":
		run = ws.subscribe
	case updateTokenProcedure.Path():
		run = ws.core().system.Serve
	case callProcedure.Path():
		run, result = ws.method(ctx, call), string(rpc.CodeInternalServerError) // remains if it panics
	default:
		return nil, rpc.ErrNoProcedure
	}
	if c, ok := call.State().(*callState); ok {
		c.activity = activity{method: call.Path[min(1, len(call.Path)-1):], channel: ws.ch.name}
		ws.calls.add(&c.activity)
		defer ws.calls.remove(&c.activity)
	}
	if result == "" {
		return rpc.Chain(ws.core().options.Interceptors, run)(ctx, call)
	}
	defer func() { ws.core().counters.called(ws.conn.Writer(), result) }()
	out, err := rpc.Chain(ws.core().options.Interceptors, run)(ctx, call)
	result = resultOf(ctx, err)
	return out, err
}

// method returns a function that calls the method that is named in the input of "call".
func (ws *Websocket) method(ctx context.Context, call *rpc.Call) rpc.CallFunc {
	in, err := ws.readCall(ctx, call)
	if err != nil {
		return func(context.Context, *rpc.Call) (any, error) { return nil, err }
	}
	path := in.Path
	call.Path, call.Input = append(call.Path, path...), in.Input
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		if !slices.Contains(ws.Token().RPC, path[0]) {
			return nil, &rpc.Error{Code: rpc.CodeForbidden, Message: `Method "` + path[0] + `" is not allowed.`}
		}
		call.Path = path
		out, err := ws.core().methods.complete().Serve(ctx, call)
		return out, undeclared(err)
	}
}

// readCall reads the input of "call". The procedure itself is used only for the error of a malformed
// input.
func (ws *Websocket) readCall(ctx context.Context, call *rpc.Call) (in callInput, err error) {
	if call.DecodeInput(ctx, &in) == nil && len(in.Path) > 0 {
		return in, nil
	}
	_, err = ws.core().system.Serve(ctx, call)
	return in, err
}

// undeclared returns err without Error.Defined: to clients it is an error of "call", which declares
// none.
func undeclared(err error) error {
	e, ok := errors.AsType[*rpc.Error](err)
	if !ok || !e.Defined {
		return err
	}
	plain := e.WithCause(err)
	plain.Defined = false
	return plain
}

// newSystem returns the router of the procedures of every socket.
func newSystem() *rpc.Router {
	return rpc.NewRouter(
		updateTokenProcedure.Handler(func(ctx context.Context, in updateTokenInput) (rpc.Void, error) {
			c, ok := stateOf(ctx)
			if !ok {
				return rpc.Void{}, errLostContext
			}
			return rpc.Void{}, c.ws.updateToken(ctx, *in.Token)
		}),
		callProcedure.Handler(func(context.Context, callInput) (rpc.Void, error) {
			return rpc.Void{}, rpc.Errorf(rpc.CodeBadRequest, "Bad input") // of a call that method cannot read
		}),
	)
}

func (ws *Websocket) updateToken(ctx context.Context, tok string) error {
	p, err := ws.admitUpdate(ctx, tok)
	if err != nil {
		return err
	}
	ws.setToken(p)
	return nil
}

// setToken makes p the socket's token, and schedules its expiry.
func (ws *Websocket) setToken(p *token.Payload) {
	ws.payload.Store(p)
	ws.conn.VisitAt(p.ExpiresAt.Add(time.Millisecond))
	if p := ws.core().members; p != nil {
		p.renew(ws.memberKey(), ws.Token())
	}
	ws.closeRevoked() // the token may have been revoked since it was admitted
}
