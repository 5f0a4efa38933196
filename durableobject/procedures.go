package durableobject

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The procedures that every socket has, besides "subscribe". The calls of the
// application's methods are inputs of the second.
var (
	updateTokenProcedure = rpc.Define[updateTokenInput, rpc.Void]("updateToken")
	callProcedure        = rpc.Define[callInput, rpc.Void]("call")
)

type updateTokenInput struct {
	Token *string `json:"token" validate:"required"` // present, but may be empty
}

type callInput struct {
	Path  []string    `json:"path" validate:"min=1"`
	Input value.Value `json:"input"`
}

// newPeers makes what answers the requests of the namespace's sockets.
func (c *core) newPeers() *rpc.ServerPeers {
	return rpc.NewServerPeers(&rpc.ServerPeerOptions{
		Context: func(ctx context.Context) context.Context {
			ws, _ := ctx.Value(socketKey{}).(*Websocket)
			return context.WithValue(ctx, callKey{}, &callState{ws: ws})
		},
		Handle:          func(ctx context.Context, call *rpc.Call) (any, error) { return socketOf(ctx).handle(ctx, call) },
		Serializers:     c.serializers,
		Validator:       c.options.Validator,
		Urgent:          []string{"subscribe", updateTokenProcedure.Path()},
		MaxInFlight:     c.options.MaxCalls,
		MaxStreams:      c.options.MaxStreams,
		MaxPendingBytes: c.options.MaxPendingBytes,
		Logger:          c.logger,
	})
}

// socketKey is the key of a socket in its context.
type socketKey struct{}

// send sends an answer, or an event, of a call after what the call has published. It waits
// for a client that reads slowly.
func (ws *Websocket) send(ctx context.Context, message []byte, binary bool) error {
	var after uint64
	if c, ok := ctx.Value(callKey{}).(*callState); ok {
		after = c.published.Load()
	}
	if after > 0 {
		ws.ch.events.Settle(&ws.reader) // so that it knows what the answer has to wait for
	}
	return ws.outbox.Put(ctx, socket.Frame(message, binary), after)
}

// handle runs a request with the namespace's interceptors around it. They see the
// path of a method behind "call".
func (ws *Websocket) handle(ctx context.Context, call *rpc.Call) (any, error) {
	var run rpc.CallFunc
	switch strings.Join(call.Path, ".") {
	case "subscribe":
		run = ws.subscribe
	case updateTokenProcedure.Path():
		run = ws.core().system.Serve
	case callProcedure.Path():
		run = ws.method(ctx, call)
	default:
		return nil, rpc.ErrNoProcedure
	}
	return rpc.Chain(ws.core().interceptors, run)(ctx, call)
}

// method makes the call of a method out of the input of "call".
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
		out, err := ws.core().router().Serve(ctx, call)
		return out, undeclared(err)
	}
}

// readCall reads the input of "call". It does not go through the procedure, which is
// there to say what is wrong with an input.
func (ws *Websocket) readCall(ctx context.Context, call *rpc.Call) (in callInput, err error) {
	if call.DecodeInput(ctx, &in) == nil && len(in.Path) > 0 {
		return in, nil
	}
	_, err = ws.core().system.Serve(ctx, call)
	return in, err
}

// undeclared takes Error.Defined away: clients see the errors of "call", which
// declares none, whatever its methods do.
func undeclared(err error) error {
	e, ok := errors.AsType[*rpc.Error](err)
	if !ok || !e.Defined {
		return err
	}
	plain := e.WithCause(err)
	plain.Defined = false
	return plain
}

// newSystem routes what every socket has but "subscribe".
func newSystem() *rpc.Router {
	return rpc.NewRouter(
		updateTokenProcedure.Handler(func(ctx context.Context, in updateTokenInput) (rpc.Void, error) {
			return rpc.Void{}, socketOf(ctx).updateToken(ctx, *in.Token)
		}),
		callProcedure.Handler(func(context.Context, callInput) (rpc.Void, error) {
			return rpc.Void{}, rpc.Errorf(rpc.CodeBadRequest, "Bad input") // of a call that method cannot read
		}),
	)
}

// socketOf gives the socket that a request came on.
func socketOf(ctx context.Context) *Websocket {
	c, ok := ctx.Value(callKey{}).(*callState)
	if !ok {
		return nil
	}
	return c.ws
}

func (ws *Websocket) updateToken(ctx context.Context, tok string) error {
	p, err := ws.core().verifier.Verify(ctx, tok)
	old := ws.Token()
	switch {
	case err != nil:
		return rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	case p.Channel != old.Channel:
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the same channel with the original token")
	case !slices.Equal(p.Tags, old.Tags) || (p.Tags == nil) != (old.Tags == nil):
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the exact same tags with the original token")
	case ws.core().recipient(ws.id, p) != ws.recipient:
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the same subject with the original token")
	}
	ws.setToken(p)
	return nil
}
