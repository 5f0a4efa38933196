// Package bridge makes the part of package rpc that transports need available to package
// transport. It is not exported by package rpc, which cannot import package transport
// either, since that imports it. Therefore package rpc sets the functions here when it is
// initialized.
//
// C, O, I and M stand for rpc.Call, rpc.CallOption, rpc.Interceptor and rpc.EventMeta.
package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// These functions are set by package rpc, since their types refer to those of that package.
var (
	// NewServers is a func(*ServerOptions[rpc.Call]) Servers.
	NewServers any
	// NewClient is a func(*ClientOptions[rpc.Interceptor]) Client[rpc.Call, rpc.CallOption,
	// rpc.EventMeta].
	NewClient any
	// AnswerError is a func(status int, header http.Header, body string) *rpc.Error.
	AnswerError any
	// AppendEventMeta is a func(dst []byte, m rpc.EventMeta) ([]byte, error).
	AppendEventMeta any

	newPanicError func(value any, stack []byte) error
)

// Set sets the functions. It is called when package rpc is initialized.
func Set(newServers, newClient, answerError, appendEventMeta any, panicError func(value any, stack []byte) error) {
	NewServers, NewClient, AnswerError, AppendEventMeta = newServers, newClient, answerError, appendEventMeta
	newPanicError = panicError
}

// RecoverTo recovers from a panic of the application's code and stores it in err as an
// *rpc.PanicError. It must be deferred.
func RecoverTo(err *error) {
	if v := recover(); v != nil {
		*err = newPanicError(v, debug.Stack())
	}
}

// Send writes one message to a socket.
type Send func(ctx context.Context, message []byte, binary bool) error

// ServerOptions configures [Servers]: see transport.ServerPeerOptions.
type ServerOptions[C any] struct {
	Handle      func(ctx context.Context, call *C) (any, error)
	TakesEvents func(path []string) bool
	Serializers []value.Serializer
	Validator   interface {
		StructCtx(ctx context.Context, v any) error
	}
	Urgent          []string
	MaxCalls        int
	MaxStreams      int
	MaxPendingBytes int
	Logger          *slog.Logger
}

// Servers makes servers, one for each socket.
type Servers interface {
	New(ctx context.Context, newState func() any, send Send) Server
}

// Server answers the calls of one socket: see transport.ServerPeer.
type Server interface {
	Receive(message []byte, binary bool) error
	Take(message []byte, binary bool) (run func(), err error)
	Stop()
	Close()
	Wait()
}

// Hibernation is an output of Handle for a stream of events that the transport sends: see
// transport.Hibernation.
type Hibernation struct {
	Start func(ctx context.Context, id json.RawMessage, finish func())
	Ended func()
}

// ClientOptions configures a [Client]: see transport.ClientPeerOptions.
type ClientOptions[I any] struct {
	Send         Send
	Flush        func()
	Serializers  []value.Serializer
	Interceptors []I
}

// Client makes calls over sockets: see transport.ClientPeer.
type Client[C, O, M any] interface {
	Call(ctx context.Context, call *C, opts ...O) (any, error)
	Busy() bool
	Receive(message []byte, binary bool) error
	Refuse(err error)
	Disconnect(cause error)
	Close(cause error)
	Subscribe(ctx context.Context, call *C, open func(http.Header), event func(Event[M])) (stop func(), err error)
}

// Event is a received event of a stream, not decoded: see transport.PeerEvent.
type Event[M any] struct {
	Kind     string
	Value    value.Value
	HasValue bool
	Meta     M
	Err      error
}
