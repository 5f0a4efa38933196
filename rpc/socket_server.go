package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const noProcedureBody = `"` + noProcedureText + `"`

// socketServer answers the calls of a socket: see transport.ServerPeer.
type socketServer struct {
	*peer.Server

	newState func() any
	send     bridge.Send
}

// socketServers creates the servers of many sockets: see transport.ServerPeers.
type socketServers struct {
	engine  *engine
	handle  CallFunc
	takes   func(path []string) bool // nil if no input is a stream
	servers *peer.Servers
}

// init sets the functions that package transport cannot access in any other way.
func init() { //nolint:gochecknoinits // see above
	bridge.Set(newSocketServers, newSocketClient, func(status int, header http.Header, body string) *Error {
		return ErrorResponse{Status: status, Headers: header, Body: body}.err()
	}, func(dst []byte, m EventMeta) ([]byte, error) {
		meta, err := m.peerMeta()
		if err != nil {
			return dst, fmt.Errorf("rpc: %w", err)
		}
		return peer.AppendEventMeta(dst, meta), nil
	}, func(value any, stack []byte) error { return &PanicError{Value: value, Stack: stack} })
}

func newSocketServers(o *bridge.ServerOptions[Call]) bridge.Servers {
	s := &socketServers{engine: newEngine(o.Serializers, o.Validator, o.Logger), handle: o.Handle, takes: o.TakesEvents}
	s.servers = peer.NewServers(peer.ServerOptions{
		Handle: s.serve,
		Panic:  s.panicked,
		BadRequest: func(ctx context.Context, err *peer.DecodeError) *peer.Response {
			return s.refuse(ctx, malformedRequest(err))
		},
		Urgent:      urgent(o.Urgent),
		TakesEvents: s.takesEvents,
		MaxCalls:    o.MaxCalls,
		MaxStreams:  o.MaxStreams,
		MaxBytes:    o.MaxPendingBytes,
	})
	return s
}

// New implements [bridge.Servers].
func (s *socketServers) New(ctx context.Context, newState func() any, send bridge.Send) bridge.Server {
	p := &socketServer{newState: newState, send: send}
	p.Server = s.servers.New(ctx, p, p.write)
	return p
}

// Receive implements [bridge.Server].
func (p *socketServer) Receive(message []byte, binary bool) error {
	if err := p.Server.Receive(peer.Frame{Data: message, Binary: binary}); err != nil {
		return fmt.Errorf("rpc: receive: %w", err)
	}
	return nil
}

// Take implements [bridge.Server].
func (p *socketServer) Take(message []byte, binary bool) (run func(), err error) {
	if run, err = p.Server.Take(peer.Frame{Data: message, Binary: binary}); err != nil {
		return run, fmt.Errorf("rpc: receive: %w", err)
	}
	return run, nil
}

func (p *socketServer) write(ctx context.Context, f peer.Frame) error {
	return p.send(ctx, f.Data, f.Binary)
}

// serve answers one request.
func (s *socketServers) serve(ctx context.Context, r *peer.Request, c *peer.Call) {
	call, handle := s.call(r)
	call.peer = c
	if p, ok := c.Owner().(*socketServer); ok && p.newState != nil {
		call.state = p.newState()
		ctx = withCall(ctx, call) // for Send
	}
	if s.takesEvents(r) {
		input := newPeerInput(ctx, c, s.engine.serializer)
		defer input.stop()
		call.Input = input
	}
	r.Body = peer.Body{} // freed once the input is decoded
	unknown, answering, returned := false, false, false
	defer func() {
		if !returned { // otherwise the client would wait forever
			s.respond(ctx, c, s.refuse(ctx, errEndedGoroutine))
		}
		if answering {
			c.StopAnswer()
		}
	}()
	out, a := s.engine.answer(ctx, call, func(ctx context.Context, call *Call) (any, error) {
		out, err := handle(ctx, call)
		unknown = errors.Is(err, ErrNoProcedure)
		switch {
		case unknown:
			return value.Undefined{}, nil
		case err == nil && isStream(out):
			return out, nil
		}
		if answering = c.StartAnswer(ctx) == nil; answering {
			return out, err
		}
		if err != nil { // the client has disconnected or aborted the call
			s.engine.logError(ctx, call, err)
		}
		return value.Undefined{}, nil
	})
	switch out := out.(type) {
	case bridge.Hibernation:
		returned = true
		s.hibernate(ctx, c, call, out)
	case *eventRun:
		returned = true
		s.sendEvents(ctx, c, call, out)
	default:
		r := &peer.Response{Status: http.StatusNotFound, Body: peer.Body{JSON: json.RawMessage(noProcedureBody)}}
		if !unknown {
			r = s.engine.response(ctx, call, a) // which reads files
		}
		returned = true
		s.respond(ctx, c, r)
	}
}

// refuse returns the answer to a request that does not become a call.
func (s *socketServers) refuse(ctx context.Context, err error) *peer.Response {
	call := &Call{}
	return s.engine.response(ctx, call, s.engine.answerError(ctx, call, err))
}

// panicked logs panics outside of Handle; engine.answer recovers from those in it.
func (s *socketServers) panicked(r *peer.Request, v any) {
	s.engine.logger.Error("call panicked", "path", r.URL.EscapedPath(), "panic", asynclog.PanicText(v))
}

// response converts an answer to the form of the peer protocol. If its files cannot be read, it
// returns an error answer.
func (e *engine) response(ctx context.Context, call *Call, a encodedAnswer) *peer.Response {
	body, err := peerBody(a.header, a.body)
	if err != nil { // this does not recur, because an error answer has no files
		return e.response(ctx, call, e.answerError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err))))
	}
	status := a.status
	if status <= 0 { // valid in an Error but not in a message
		status = http.StatusInternalServerError
	}
	return &peer.Response{Status: status, Header: a.header, Body: body}
}

func (s *socketServers) respond(ctx context.Context, c *peer.Call, r *peer.Response) {
	if err := c.Respond(ctx, r); err != nil {
		s.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
	}
}

// openStream announces a stream of events and reports whether it is open. If there are too many
// streams, it sends an error instead.
func (s *socketServers) openStream(ctx context.Context, c *peer.Call, call *Call) bool {
	header := call.ResponseHeader
	header.Del(headerDisposition)
	header.Set(headerContentType, eventStreamType)
	err := c.Respond(ctx, &peer.Response{Header: header})
	switch {
	case err == nil:
		return true
	case errors.Is(err, peer.ErrTooManyStreams):
		s.respond(ctx, c, s.refuse(ctx, &Error{Code: CodeTooManyRequests, Message: "Too many open streams"}))
	default:
		s.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
	}
	return false
}

// hibernate opens a stream and passes it to the application.
func (s *socketServers) hibernate(ctx context.Context, c *peer.Call, call *Call, h bridge.Hibernation) {
	if s.openStream(ctx, c, call) {
		c.Hold()
		h.Start(ctx, json.RawMessage(c.ID()), c.Finish)
		if h.Ended != nil {
			c.OnDone(h.Ended)
		}
	}
}

// sendEvents opens a stream and sends its events until it ends.
func (s *socketServers) sendEvents(ctx context.Context, c *peer.Call, call *Call, run *eventRun) {
	if s.openStream(ctx, c, call) {
		send := func(e *peer.Event) error { return c.Event(ctx, e) }
		run.run(ctx, &wireSink{ctx: ctx, engine: s.engine, call: run.call, peer: c, send: send})
	}
}

// call returns the call of a request, and the function that runs it.
func (s *socketServers) call(r *peer.Request) (*Call, CallFunc) {
	call := &Call{
		Method:      r.Method,
		LastEventID: strings.Join(r.Header.Values(headerLastEventID), ", "),
		Header:      r.Header,
	}
	var err error
	if call.Path, err = decodePath(r.URL); err == nil {
		call.Input, err = s.readInput(r)
	}
	if err != nil {
		return call, func(context.Context, *Call) (any, error) { return nil, err }
	}
	return call, s.handle
}

// readInput reads the input of a request. As over HTTP, it refuses bodies that are not an encoded
// value.
func (s *socketServers) readInput(r *peer.Request) (value.Value, error) {
	switch {
	case r.Method == http.MethodGet:
		return readQuery(r.URL, s.engine.serializer)
	case isPeerForm(r.Header, r.Body):
		v, err := readPeerForm(r.Header, r.Body, s.engine.serializer)
		return v, formError(err)
	case s.takesEvents(r):
		return value.Value{}, nil // see serve
	case len(r.Body.Bytes) > 0,
		peer.IsEventStream(r.Header),
		strings.HasPrefix(r.Header.Get(headerContentType), urlEncodedType):
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	}
	return readInput(r.Body.JSON, s.engine.serializer)
}

// urgent returns a function that returns the index of a request's path in paths, from 1 on, or 0.
func urgent(paths []string) func(*peer.Request) int {
	addresses := make([]string, len(paths))
	for i, path := range paths {
		addresses[i] = encodePath(strings.Split(path, "."))
	}
	return func(r *peer.Request) int {
		return 1 + slices.Index(addresses, strings.TrimSuffix(r.URL.EscapedPath(), "/"))
	}
}

// takesEvents reports whether the input of a request is a stream of events and is permitted to be
// one.
func (s *socketServers) takesEvents(r *peer.Request) bool {
	if s.takes == nil || !peer.IsEventStream(r.Header) {
		return false
	}
	path, err := decodePath(r.URL)
	return err == nil && s.takes(path)
}
