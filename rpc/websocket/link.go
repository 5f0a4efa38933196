package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	defaultWriteTimeout   = 30 * time.Second
	defaultMaxAnswerBytes = 16 << 20
)

// LinkOptions configures a [Link]. The zero value is usable.
type LinkOptions struct {
	// HTTPClient sends the request that opens the connection. Nil means
	// http.DefaultClient. It is not used in browsers.
	HTTPClient *http.Client
	// Header is sent with that request, for example Authorization. In browsers, which
	// cannot send it, it must be empty.
	Header http.Header
	// Interceptors run around each call and its retries, the first one outermost.
	Interceptors []rpc.Interceptor
	// Serializers are for types of the application.
	Serializers []value.Serializer
	// MaxMessageBytes is the size of the largest message of the server. A larger one ends
	// the link with close code 1009. 0 means 16 MiB.
	MaxMessageBytes int64
	// WriteTimeout is how long a write to the connection may take, of one message or of
	// several small ones; then the link ends. 0 means 30 s.
	WriteTimeout time.Duration
}

// Link calls procedures over a WebSocket connection. It is oRPC's RPCLink for WebSockets. It is
// an [rpc.Caller] and safe for concurrent use. Calls run concurrently; the end of the context
// of one call does not affect others.
//
// When the connection ends, the link has ended: it does not reconnect. Running calls and all
// later ones fail with [rpc.ErrDisconnected].
type Link struct {
	conn   *dial.Conn
	peer   *transport.ClientPeer
	closed atomic.Bool // by Close
	done   chan struct{}
	err    error // reason why the reader has ended; set before done is closed
}

// Dial connects to the handler at an address, such as "ws://localhost:3000/rpc". If o is nil, the
// defaults are used. ctx limits only connecting. If the server refuses the connection, the error
// is an [*rpc.Error] with an [rpc.ErrorResponse] as its data, as for a call. Dial panics if
// options are wrong: negative numbers, a nil interceptor, serializers that contradict each other.
func Dial(ctx context.Context, address string, o *LinkOptions) (*Link, error) {
	var own LinkOptions
	if o != nil {
		own = *o
	}
	var list faults.List
	faults.Negative(&list, "MaxMessageBytes", own.MaxMessageBytes)
	faults.Negative(&list, "WriteTimeout", own.WriteTimeout)
	faults.Nil(&list, "an interceptor", own.Interceptors)
	list.Panic("websocket: Dial")
	l := &Link{done: make(chan struct{})}
	l.peer = transport.NewClientPeer(&transport.ClientPeerOptions{
		Send:         l.send,
		Flush:        l.flush,
		Serializers:  own.Serializers,
		Interceptors: own.Interceptors,
	})
	conn, response, err := dial.Open(ctx, address, dial.Options{ //nolint:bodyclose // Open has read the body
		HTTPClient:   own.HTTPClient,
		Header:       own.Header,
		WriteTimeout: cmp.Or(own.WriteTimeout, defaultWriteTimeout),
	})
	if err != nil {
		return nil, dialError(ctx, response, err)
	}
	l.conn = conn
	l.conn.SetReadLimit(cmp.Or(own.MaxMessageBytes, defaultMaxAnswerBytes))
	go l.run() // ends when the connection does
	return l, nil
}

// Call sends the call and waits for its answer. When ctx ends, Call returns at once and an abort
// is sent to the server.
func (l *Link) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	return l.peer.Call(ctx, call, opts...)
}

// Close closes the connection with code 1000 and waits until all goroutines of the link have
// ended. Running calls fail at once. If the link had already ended, Close returns the error of
// [Link.Err].
func (l *Link) Close() error {
	if l.closed.Swap(true) || l.ended() {
		<-l.done
		return l.Err()
	}
	l.peer.Disconnect(peer.Final(errLinkClosed))
	l.conn.Close()
	<-l.done
	return nil
}

var errLinkClosed = errors.New("the link is closed")

// Done returns a channel that is closed when the link and all of its goroutines have ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err returns the reason why the link has ended. It returns nil before that, and if Close has
// ended it. If the server has closed the connection, websocket.CloseStatus(err) of
// github.com/coder/websocket returns the code.
func (l *Link) Err() error {
	if !l.ended() {
		return nil
	}
	return l.err
}

func (l *Link) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// run reads until the connection ends.
func (l *Link) run() {
	defer close(l.done)
	for {
		message, binary, err := l.conn.Read()
		if err != nil {
			l.end(err)
			return
		}
		// If the message is malformed, its call fails.
		_ = l.peer.Receive(message, binary)
	}
}

func (l *Link) end(err error) {
	if l.closed.Load() {
		err = errLinkClosed
	} else {
		l.err = fmt.Errorf("websocket: %w", err)
	}
	l.peer.Close(peer.Final(err)) // a link does not reconnect
}

func (l *Link) send(_ context.Context, message []byte, binary bool) error {
	if l.closed.Load() {
		return peer.Final(errLinkClosed)
	}
	return l.conn.Write(message, binary)
}

func (l *Link) flush() { l.conn.Flush() }

// dialError returns the error of Dial in the form of the error of a call.
func dialError(ctx context.Context, r *http.Response, err error) error {
	if r == nil || 200 <= r.StatusCode && r.StatusCode < 400 || r.StatusCode == http.StatusSwitchingProtocols {
		if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return fmt.Errorf("websocket: dial: %w", err)
	}
	text, _ := io.ReadAll(r.Body) // at most 1 KiB, from memory
	return transport.AnswerError(r.StatusCode, r.Header, string(text)).WithCause(err)
}
