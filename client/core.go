package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// core is the part of an Iterator that does not depend on T. Loops, calls and the
// supervisor share it.
type core struct {
	options Options
	source  TokenSource
	id      string
	path    string          // of the procedure that returns the tokens, or empty
	header  http.Header     // of subscriptions
	life    context.Context //nolint:containedctx // of the iterator, for OnGap
	buffer  *buffer
	peer    *transport.ClientPeer
	caller  rpc.Caller
	cancel  context.CancelCauseFunc
	answer  http.Header // response header of the first subscription, set before opened is closed
	app     application
	opened  chan struct{} // closed when the iterator is live for the first time
	done    chan struct{} // closed when nothing of the iterator is running

	// mu guards the fields below, which only the supervisor changes.
	//
	//   - changed is closed and replaced whenever state changes.
	//   - err is the reason for StateClosed.
	//   - conn is nil while there is no socket.
	//   - recent has the last tokens, which must not appear in errors.
	mu      sync.Mutex
	state   State
	changed chan struct{}
	err     error
	cred    credential
	conn    *connection
	recent  []string
}

// closeTimeout is how long Close waits for functions of the application that do not return.
// It is longer than a close handshake takes.
const closeTimeout = 3 * time.Second

// maxRecent is the length of core.recent.
const maxRecent = 4

// close ends the iterator and waits until it has ended, unless it is called by a function
// that it would wait for.
func (c *core) close() {
	c.buffer.drop(nil)
	c.cancel(ErrClosed)
	if !c.app.calls() {
		c.join()
	}
}

// join waits until nothing of the iterator is running, but not longer than closeTimeout.
func (c *core) join() {
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
	}
}

func (c *core) credential() credential {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cred
}

func (c *core) setCredential(cred credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cred = cred
	c.remember(cred.text)
}

// remember adds a token to the recent ones. It is called with mu held.
func (c *core) remember(tok string) {
	if !slices.Contains(c.recent, tok) {
		c.recent = append(c.recent, tok)
		c.recent = c.recent[max(0, len(c.recent)-maxRecent):]
	}
}

func (c *core) recentTokens() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.recent)
}

// redact returns err without the tokens of the iterator.
func (c *core) redact(err error) error {
	if err == nil {
		return nil
	}
	return newRedactor(c.recentTokens()...).clean(err)
}

// gapOf returns a function that creates the gaps of a socket with these credentials.
func (c *core) gapOf(cred credential) func(reason GapReason, err error) *GapError {
	return func(reason GapReason, err error) *GapError {
		return &GapError{Reason: reason, Channel: cred.payload.Channel, Path: c.path, Err: c.redact(err)}
	}
}

func (c *core) setConnection(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
}

func (c *core) currentState() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// setState sets the state and reports it.
func (c *core) setState(ctx context.Context, state State, err error) {
	c.storeState(state, err)
	c.reportState(ctx, state, err)
}

func (c *core) storeState(state State, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = state
	if state == StateClosed {
		c.err = err
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *core) reportState(ctx context.Context, state State, err error) {
	_, _ = run(&c.app, func() (any, error) { // a panic is only logged
		c.options.Logger.DebugContext(ctx, "state changed", "id", c.id, "state", state.String(), "err", err)
		c.options.OnStateChange(state, err)
		return nil, nil //nolint:nilnil // there is no result
	})
}

// send sends a message of the peer on the current socket.
func (c *core) send(ctx context.Context, message []byte, binary bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	conn := c.connection()
	if conn == nil {
		return errNotConnected
	}
	c.buffer.interrupt() // an answer may be expected now
	return conn.Write(message, binary)
}

func (c *core) flush() {
	if conn := c.connection(); conn != nil {
		conn.Flush()
	}
}

func (c *core) connection() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// callPath is the path of the procedure "call".
var callPath = []string{"call"}

// callInput is the input of that procedure.
type callInput struct {
	Path  []string `json:"path"`
	Input any      `json:"input"`
}

// call calls a method.
func (c *core) call(ctx context.Context, call *rpc.Call) (any, error) {
	out, err := c.tryCall(ctx, call)
	if err == nil {
		return out, nil
	}
	err = newSignatureRedactor(c.recentTokens()...).clean(err)
	if _, sent := errors.AsType[*rpc.Error](err); !sent {
		err = prefixed("client: call "+strings.Join(call.Path, "."), err)
	}
	return out, err
}

func (c *core) tryCall(ctx context.Context, call *rpc.Call) (any, error) {
	call.ResponseHeader = nil
	if err := c.awaitLive(ctx); err != nil {
		return nil, err
	}
	if len(call.Path) == 0 || !slices.Contains(c.credential().payload.RPC, call.Path[0]) {
		e := rpc.Errorf(rpc.CodeForbidden, "Method %q is not allowed by the token.", strings.Join(call.Path, "."))
		return nil, rpc.ToError(e)
	}
	inner := &rpc.Call{
		Path:        callPath,
		Input:       callInput{call.Path, present(call.Input)},
		New:         call.New,
		LastEventID: call.LastEventID,
		Header:      call.Header,
	}
	out, err := c.peer.Call(ctx, inner)
	call.ResponseHeader = inner.ResponseHeader
	return out, err
}

// present returns input or, if it is absent, a value that is sent as an input member, which
// servers of oRPC require.
func present(input any) any {
	switch in := input.(type) {
	case rpc.Void, *rpc.Void, value.Undefined:
		return serializer.PresentUndefined{}
	case value.Value:
		if in.IsUndefined() {
			return serializer.PresentUndefined{}
		}
	}
	return input
}

// awaitLive waits until calls can be sent.
func (c *core) awaitLive(ctx context.Context) error {
	for {
		c.mu.Lock()
		state, changed, err := c.state, c.changed, c.err
		c.mu.Unlock()
		switch {
		case state == StateLive:
			return nil
		case state == StateClosed && (err == nil || errors.Is(err, ErrClosed)):
			return ErrClosed
		case state == StateClosed:
			return because(ErrClosed, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
		}
	}
}

// closedError returns the reason why the iterator has ended. It is called after that.
func (c *core) closedError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
