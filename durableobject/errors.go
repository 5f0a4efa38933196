package durableobject

import (
	"errors"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Errors that a caller may branch on.
var (
	// ErrClosed is returned by a namespace that is shutting down.
	ErrClosed = errors.New("durableobject: namespace closed")
	// ErrRecursive is returned by Namespace.Get inside a newHub if the object that it
	// asks for is waiting for that newHub: the object that the newHub makes, or one
	// whose own newHub waits for that object.
	ErrRecursive = errors.New("durableobject: newHub waits for itself")
	// ErrNotSubscribed is returned by Websocket.Send if the socket has no subscription:
	// the client has not subscribed yet, or has unsubscribed, or is gone.
	ErrNotSubscribed = errors.New("durableobject: not subscribed")
	// ErrForeignWebsocket is returned by PublishEvent if a target or an exclude is
	// a socket of another object, and by History if HistoryOptions.For is.
	ErrForeignWebsocket = errors.New("durableobject: socket of another channel")
	// ErrNoSubject is returned by PublishEvent for targets or excludes that are ids
	// alone if Options.Subject is set, since recipients are then named by subject and id.
	ErrNoSubject = errors.New("durableobject: ids without subject")
	// ErrNotKept is returned by History if Options.ResumeRetention is 0, so that no events
	// are kept.
	ErrNotKept = errors.New("durableobject: no events are kept")
	// ErrPredicate is returned by PublishEvent for [WithTargetsFunc] and
	// [WithExcludeFunc] if the log is an eventlog.Shared, since predicates cannot be
	// called for the sockets of other nodes. Use tags or ids there.
	ErrPredicate = errors.New("durableobject: predicates do not reach the sockets of other nodes")
	// ErrNoKeys is returned by PublishEvent for [WithIdempotencyKey] if events are not kept,
	// since Options.ResumeRetention is 0, or Options.Log is no eventlog.Keyed.
	ErrNoKeys = errors.New("durableobject: idempotency keys are not remembered")
)

// errLostContext is the error of a method whose socket is not found.
var errLostContext = errors.New("an interceptor lost the context")

// errEndedGoroutine is the outcome of a hook that has called runtime.Goexit.
var errEndedGoroutine = errors.New("the hook has ended its goroutine")

// shuttingDown returns the error that a method failed with. If that is only that the
// namespace shuts down, it is returned as one that clients know and that is no failure to log.
func (c *core) shuttingDown(err error) error {
	if !errors.Is(err, ErrClosed) {
		return err
	}
	if _, answered := errors.AsType[*rpc.Error](err); answered || !c.isClosing() {
		return err // it may be of another namespace
	}
	return (&rpc.Error{Code: rpc.CodeServiceUnavailable, Message: "Shutting down"}).WithCause(err)
}

// try calls fn, which runs code of the application, and returns its error. A panic is
// returned as a *rpc.PanicError.
func try(fn func() error) (err error) {
	defer bridge.RecoverTo(&err)
	return fn()
}

// details returns args, and the error as "err" for the log, a panic with its stack.
func details(err error, args ...any) []any {
	args = append(args, "err", err)
	if p, ok := errors.AsType[*rpc.PanicError](err); ok {
		args = append(args, "stack", string(p.Stack))
	}
	return args
}
