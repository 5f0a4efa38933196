package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// ErrNoProcedure is what [ServerPeerOptions.Handle] returns for a path that leads
// nowhere. The caller gets status 404 with oRPC's text for it, which is no RPC
// error.
var ErrNoProcedure = errors.New("rpc: no procedure matched")

const (
	noProcedureBody   = `"No procedure matched"`
	eventStreamType   = "text/event-stream"
	urlEncodedType    = "application/x-www-form-urlencoded"
	headerContentType = "Content-Type"
	headerDisposition = "Content-Disposition"
	headerLastEventID = "Last-Event-Id"
)

// ServerPeerOptions configures a [ServerPeer]. Handle and Send are required.
type ServerPeerOptions struct {
	// Handle carries out each call, on a goroutine of its own. Call.Path is the
	// decoded path of the request's address, Call.Method the method of the
	// request, Call.Input a [value.Value]. An output that is a [Hibernation] opens a
	// stream of events that somebody else sends, that of an [EventProcedure] one
	// that is sent here. An error that wraps [ErrNoProcedure] is answered with 404.
	// A panic is an internal error.
	//
	// The method is not checked: oRPC answers GET for every procedure on a
	// socket, where no link of another site can cause a request, and Handle alone
	// knows what its procedures declare.
	Handle CallFunc

	// Send writes one message. It is called from many goroutines; each waits for
	// it, and it may wait for a client that reads slowly. ctx is the context of the call
	// that is answered; Send may return its cause instead of waiting any longer. For
	// answers that belong to no call it is the context of [NewServerPeer]; these are sent
	// by Receive itself. When the socket closes Send has to return.
	Send func(ctx context.Context, message []byte, binary bool) error

	// NewState makes the state of each call, which Handle and Send share: see
	// [Call.State]. Nil means that calls have none.
	NewState func() any

	// TakesEvents reports whether the procedure of a path has a stream of events as its
	// input, as [Router.TakesEvents] does. Only then events of the client are kept until
	// Handle reads them; Call.Input is a stream then. Nil is for servers without such
	// procedures: a stream of events is refused with [CodeUnsupportedMediaType].
	TakesEvents func(path []string) bool

	// Serializers and Validator are as in [HandlerOptions].
	Serializers []value.Serializer
	Validator   Validator

	// Urgent are the paths, in the form of Method.Path, of calls that do not wait for
	// others: they run beside MaxInFlight, those of one path one after another. They are
	// meant for what keeps a socket alive. There are two at the most.
	Urgent []string

	// MaxInFlight is how many calls may run at once, not counting open streams; 0 is
	// 256. Further ones wait, as messages that are not decoded.
	MaxInFlight int

	// MaxStreams is how many streams of events may be open at once; 0 is 100. A
	// further one is answered [CodeTooManyRequests].
	MaxStreams int

	// MaxPendingBytes bounds the messages of calls that wait or run; 0 is 2 MiB. While
	// a further one would exceed it, Receive waits. One message may always be there,
	// whatever its size. Each counts its own size and 256 bytes.
	MaxPendingBytes int

	// Logger gets panics at level Error, the causes of internal errors at level
	// Warn, and answers that could not be sent at level Debug. Nil discards them.
	Logger *slog.Logger
}

// ServerPeer answers the calls that arrive as messages of one socket: oRPC's peer
// protocol, seen from the server. It knows nothing of the socket: messages come in
// through Receive and go out through [ServerPeerOptions.Send]. All methods but
// Receive are safe for concurrent use.
//
// Calls run side by side and are answered as they get ready. A call that the
// client aborts is not answered; its context ends.
type ServerPeer struct {
	server   *peer.Server
	newState func() any
	send     func(ctx context.Context, message []byte, binary bool) error
}

// NewServerPeer makes the peer of a socket. The contexts of the calls derive from
// ctx. It panics without Handle or Send, and on serializers that contradict each
// other. For many sockets that are served alike see [NewServerPeers].
func NewServerPeer(ctx context.Context, o *ServerPeerOptions) *ServerPeer {
	return NewServerPeers(o).New(ctx, o.NewState, o.Send)
}

// ServerPeers makes the peers of many sockets, which share what does not depend on
// the socket. It is safe for concurrent use.
type ServerPeers struct {
	engine  *engine
	handle  CallFunc
	takes   func(path []string) bool // nil: none
	servers *peer.Servers
}

// NewServerPeers keeps a copy of the options, of which NewState and Send are not used. It
// panics as [NewServerPeer] does.
func NewServerPeers(o *ServerPeerOptions) *ServerPeers {
	if o.Handle == nil {
		panic("rpc: NewServerPeers: Handle is required")
	}
	s := &ServerPeers{engine: newEngine(o.Serializers, o.Validator, o.Logger), handle: o.Handle, takes: o.TakesEvents}
	s.servers = peer.NewServers(peer.ServerOptions{
		Handle: s.serve,
		Panic:  s.panicked,
		BadRequest: func(ctx context.Context, err *peer.DecodeError) *peer.Response {
			return s.refuse(ctx, malformedRequest(err))
		},
		Urgent:      urgent(o.Urgent),
		TakesEvents: s.takesEvents,
		MaxCalls:    o.MaxInFlight,
		MaxStreams:  o.MaxStreams,
		MaxBytes:    o.MaxPendingBytes,
	})
	return s
}

// urgent returns the number of a path, from 1, for a request that is for it.
func urgent(paths []string) func(*peer.Request) int {
	if len(paths) > peer.MaxUrgent {
		panic("rpc: NewServerPeers: too many urgent paths")
	}
	addresses := make([]string, len(paths))
	for i, path := range paths {
		addresses[i] = encodePath(strings.Split(path, "."))
	}
	return func(r *peer.Request) int {
		return 1 + slices.Index(addresses, strings.TrimSuffix(r.URL.EscapedPath(), "/"))
	}
}

// New returns the peer of a socket. The contexts of its calls derive from ctx. For
// newState, which may be nil, and send see [ServerPeerOptions].
func (s *ServerPeers) New(
	ctx context.Context, newState func() any, send func(ctx context.Context, message []byte, binary bool) error,
) *ServerPeer {
	if send == nil {
		panic("rpc: ServerPeers: Send is required")
	}
	p := &ServerPeer{newState: newState, send: send}
	p.server = s.servers.New(ctx, p, p.write)
	return p
}

// Receive takes one message, in the order of arrival, and does not keep it. It waits for
// handlers only while [ServerPeerOptions.MaxPendingBytes] are held; until [ServerPeer.Stop]
// or Close. The error is about that message only: it cannot be read and has no id
// to answer, its answer could not be sent, or the peer is closed. A request that
// cannot be read is answered [CodeBadRequest] if it has an id. An id in use makes a
// request ignored.
func (p *ServerPeer) Receive(message []byte, binary bool) error {
	if err := p.server.Receive(peer.Frame{Data: message, Binary: binary}); err != nil {
		return fmt.Errorf("rpc: receive: %w", err)
	}
	return nil
}

// Take is Receive for a caller that has a goroutine and the memory of the message to
// spare: it does not start the handler of a request, but returns it as run, which the
// caller has to call once. For other messages run is nil.
func (p *ServerPeer) Take(message []byte, binary bool) (run func(), err error) {
	if run, err = p.server.Take(peer.Frame{Data: message, Binary: binary}); err != nil {
		return run, fmt.Errorf("rpc: receive: %w", err)
	}
	return run, nil
}

// Stop drops the calls that wait, and lets no further ones begin; those that run go on.
// A Receive that waits returns. It does not wait itself, and is meant for the moment at
// which the socket begins to close.
func (p *ServerPeer) Stop() { p.server.Stop() }

func (p *ServerPeer) write(ctx context.Context, f peer.Frame) error {
	return p.send(ctx, f.Data, f.Binary)
}

// Close ends the context of every call; nothing is sent for them any more.
func (p *ServerPeer) Close() { p.server.Close() }

// Wait returns when all handlers have returned. It is called after Close.
func (p *ServerPeer) Wait() { p.server.Wait() }

// Hibernation is an output whose events are sent by somebody else, under the id of
// the request: oRPC's HibernationEventIterator. Its response announces a stream of
// events.
type Hibernation struct {
	// Start is called once, after [ServerPeerOptions.Send] has returned for the
	// response, on the same goroutine, with the JSON text of the request's id (nil
	// if it has none). If the call was aborted before, or the response could not be
	// sent, it is not called.
	//
	// ctx is the context of the call. It lives on until the client aborts, the
	// peer is closed, or finish is called, which also frees the id. Start need not
	// wait for that.
	Start func(ctx context.Context, id json.RawMessage, finish func())

	// Ended, if it is not nil, is called once after Start, when ctx ends or has
	// ended, without a goroutine and memory of its own as context.AfterFunc would
	// need. It must not block.
	Ended func()
}

// serve carries out one request.
func (s *ServerPeers) serve(ctx context.Context, r *peer.Request, c *peer.Call) {
	call, handle := s.call(r)
	call.peer = c
	if p, ok := c.Owner().(*ServerPeer); ok && p.newState != nil {
		call.state = p.newState()
		ctx = withCall(ctx, call) // for Send
	}
	if s.takesEvents(r) {
		input := newPeerInput(ctx, c, s.engine.serializer)
		defer input.stop()
		call.Input = input
	}
	r.Body = peer.Body{} // freed once the input is decoded
	unknown, answering := false, false
	defer func() {
		if answering {
			c.StopAnswer()
		}
	}()
	out, a := s.engine.answer(ctx, call, func(ctx context.Context, call *Call) (any, error) {
		out, err := handle(ctx, call)
		if unknown = errors.Is(err, ErrNoProcedure); unknown {
			return value.Undefined{}, nil
		}
		if err == nil && !isStream(out) {
			if answering = c.StartAnswer(ctx) == nil; !answering { // nobody waits for it any more
				out = value.Undefined{}
			}
		}
		return out, err
	})
	switch out := out.(type) {
	case Hibernation:
		s.hibernate(ctx, c, call, out)
	case *eventRun:
		s.sendEvents(ctx, c, call, out)
	default:
		if unknown {
			s.respond(ctx, c, &peer.Response{Status: http.StatusNotFound, Body: peer.Body{JSON: json.RawMessage(noProcedureBody)}})
			return
		}
		s.respond(ctx, c, s.engine.response(ctx, call, a))
	}
}

// call makes the call of a request, and what carries it out.
func (s *ServerPeers) call(r *peer.Request) (*Call, CallFunc) {
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

// readInput refuses, as over HTTP, what is sent for something else than an
// encoded value.
func (s *ServerPeers) readInput(r *peer.Request) (value.Value, error) {
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

// decodePath reads the path of a procedure from an address. Each segment has to be
// spelled as encodeSegment does, so that a procedure has one address only; a trailing
// slash does not count.
func decodePath(u *url.URL) ([]string, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSuffix(u.EscapedPath(), "/"), "/")
	if !ok {
		return nil, ErrNoProcedure
	}
	path := make([]string, 0, 1+strings.Count(encoded, "/"))
	for segment := range strings.SplitSeq(encoded, "/") {
		name, err := url.PathUnescape(segment)
		if err != nil || name == "" || !utf8.ValidString(name) || encodeSegment(name) != segment {
			return nil, ErrNoProcedure
		}
		path = append(path, name)
	}
	return path, nil
}

// refuse answers what does not become a call.
func (s *ServerPeers) refuse(ctx context.Context, err error) *peer.Response {
	call := &Call{ResponseHeader: http.Header{}}
	return s.engine.response(ctx, call, s.engine.answerError(ctx, call, err))
}

// panicked is told of panics outside of Handle, which answer guards itself.
func (s *ServerPeers) panicked(r *peer.Request, v any) {
	s.engine.logger.Error("call panicked", "path", r.URL.EscapedPath(), "panic", v)
}

// response puts an answer into the form of the peer protocol. If its files cannot
// be read it is another one.
func (e *engine) response(ctx context.Context, call *Call, a answer) *peer.Response {
	body, err := peerBody(a.header, a.body)
	if err != nil { // not again: the answer to this has no files
		return e.response(ctx, call, e.answerError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err))))
	}
	status := a.status
	if status <= 0 { // an Error may have it, a message may not
		status = http.StatusInternalServerError
	}
	return &peer.Response{Status: status, Header: a.header, Body: body}
}

func (s *ServerPeers) respond(ctx context.Context, c *peer.Call, r *peer.Response) {
	if err := c.Respond(ctx, r); err != nil {
		s.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
	}
}

// openStream announces a stream of events. It reports whether that is open: it is not if
// there is one too many, which the client is told.
func (s *ServerPeers) openStream(ctx context.Context, c *peer.Call, call *Call) bool {
	header := call.ResponseHeader
	header.Del(headerDisposition)
	header.Set(headerContentType, eventStreamType)
	err := c.Respond(ctx, &peer.Response{Header: header})
	switch {
	case err == nil:
		return true
	case errors.Is(err, peer.ErrTooManyStreams):
		call.ResponseHeader = http.Header{}
		tooMany := &Error{Code: CodeTooManyRequests, Message: "Too many open streams"}
		s.respond(ctx, c, s.engine.response(ctx, call, s.engine.answerError(ctx, call, tooMany)))
	default:
		s.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
	}
	return false
}

// hibernate opens a stream and hands it over.
func (s *ServerPeers) hibernate(ctx context.Context, c *peer.Call, call *Call, h Hibernation) {
	if s.openStream(ctx, c, call) {
		c.Hold()
		h.Start(ctx, json.RawMessage(c.ID()), c.Finish)
		if h.Ended != nil {
			c.OnDone(h.Ended)
		}
	}
}

// sendEvents opens a stream and sends it, to its end.
func (s *ServerPeers) sendEvents(ctx context.Context, c *peer.Call, call *Call, run *eventRun) {
	if s.openStream(ctx, c, call) {
		send := func(e *peer.Event) error { return c.Event(ctx, e) }
		run.run(ctx, &wireSink{ctx: ctx, engine: s.engine, call: run.call, peer: c, send: send})
	}
}
