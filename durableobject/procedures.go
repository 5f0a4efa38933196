package durableobject

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
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
	Path  []string  `json:"path" validate:"min=1"`
	Input rpc.Value `json:"input"`
}

// newPeers makes what answers the requests of the namespace's sockets.
func (c *core) newPeers() *rpc.ServerPeers {
	return rpc.NewServerPeers(&rpc.ServerPeerOptions{
		Context: func(ctx context.Context) context.Context {
			ws, _ := ctx.Value(socketKey{}).(*Websocket)
			return context.WithValue(ctx, callKey{}, &callState{ws: ws})
		},
		Handle:      func(ctx context.Context, call *rpc.Call) (any, error) { return socketOf(ctx).handle(ctx, call) },
		Serializers: c.serializers,
		Validator:   c.options.Validator,
		MaxInFlight: c.options.MaxCalls,
		Logger:      c.logger,
	})
}

// socketKey is the key of a socket in its context.
type socketKey struct{}

// reader is a socket as its connection sees it when something was read.
type reader struct{ ws *Websocket }

// Receive implements [socket.Handler].
func (r reader) Receive(message []byte, binary bool) (run func()) {
	ws := r.ws
	if ws.expired() {
		return nil
	}
	run, err := ws.peer.Take(message, binary)
	if err != nil {
		ws.core().logger.Debug("bad message", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
	}
	return run
}

// Ended implements [socket.Handler].
func (r reader) Ended(int) {
	defer r.ws.core().users.Done()
	r.ws.leave()
}

// send queues an answer, or an event, of a call behind what the call has published.
func (ws *Websocket) send(ctx context.Context, message []byte, binary bool) error {
	var after uint64
	streams := false
	if c, ok := ctx.Value(callKey{}).(*callState); ok {
		after, streams = c.published.Load(), c.streams.Load()
	}
	frame := socket.AppendHeader(make([]byte, 0, socket.MaxHeader+len(message)), binary, len(message))
	frame = append(frame, message...)
	if after > 0 {
		ws.ch.settle(ws) // so that the socket knows what the answer has to wait for
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if streams {
		if err := ws.awaitRoom(ctx, len(frame)); err != nil {
			return err
		}
	}
	ws.queue(frame, after)
	return nil
}

// awaitRoom waits, with mu held when it is called and when it returns, until a
// stream may queue so much. Streams leave half of what may wait to other answers.
func (ws *Websocket) awaitRoom(ctx context.Context, size int) error {
	for ws.waiting > 0 && ws.waiting+size > ws.core().maxLagBytes/2 {
		if ws.room == nil {
			ws.room = make(chan struct{})
		}
		room := ws.room
		ws.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		ws.mu.Lock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
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
	if c, ok := ctx.Value(callKey{}).(*callState); ok {
		c.activity = activity{name: call.Path[min(1, len(call.Path)-1):], channel: ws.ch.name}
		ws.calls.add(&c.activity)
		defer ws.calls.remove(&c.activity)
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
	if v, ok := call.Input.(rpc.Value); ok && v.Decode(&in) == nil && len(in.Path) > 0 {
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
	p, err := ws.admitUpdate(ctx, tok)
	if err != nil {
		return err
	}
	ws.setToken(p)
	return nil
}
