package durableobject

import (
	"context"
	"errors"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Errors that callers may test for with [errors.Is].
var (
	// ErrClosed is returned by a namespace that is shutting down.
	ErrClosed = errors.New("namespace closed")
	// ErrRecursive is returned by Namespace.Get in a newHub that would wait for itself,
	// directly or by the newHub of another object.
	ErrRecursive = errors.New("newHub waits for itself")
	// ErrNotSubscribed is returned by Websocket.Send if the socket has no subscription:
	// the client has not subscribed yet, has unsubscribed, or has disconnected.
	ErrNotSubscribed = errors.New("not subscribed")
	// ErrForeignWebsocket is returned by PublishEvent if a target or an exclude is
	// a socket of another object, and by History if HistoryOptions.For is.
	ErrForeignWebsocket = errors.New("socket of another channel")
	// ErrNoSubject is returned by PublishEvent if targets or excludes are only ids although
	// Options.Subject is set: recipients are then subjects with ids.
	ErrNoSubject = errors.New("ids without subject: use WithTargetRecipients or WithExcludeRecipients")
	// ErrRecipient is returned by PublishEvent for a [Recipient] that no client can be: it
	// has no ID, or it has a Subject although Options.Subject is not set.
	ErrRecipient = errors.New("no client can be this recipient")
	// ErrNotKept is returned by History if no events are kept, because
	// Options.ResumeRetention is 0.
	ErrNotKept = errors.New("no events are kept")
	// ErrPredicate is returned by PublishEvent for [WithTargetsFunc] and
	// [WithExcludeFunc] if the log is an eventlog.Shared, because predicates cannot be
	// called for the sockets of other nodes. Use tags or ids.
	ErrPredicate = errors.New("predicates do not reach the sockets of other nodes")
	// ErrNoKeys is returned by PublishEvent for [WithIdempotencyKey] if events are not kept,
	// because Options.ResumeRetention is 0, or if Options.Log does not implement
	// eventlog.Keyed.
	ErrNoKeys = errors.New("idempotency keys are not remembered")
)

// errLostContext is the error of a method whose context does not have its call.
var errLostContext = errors.New("an interceptor lost the context")

// errEndedGoroutine is the error of a function of the application that has called
// runtime.Goexit.
var errEndedGoroutine = errors.New("a function of the application has ended its goroutine")

// try calls fn, which runs code of the application, and returns its error. A panic is
// returned as a *rpc.PanicError.
func try(fn func() error) (err error) {
	defer bridge.RecoverTo(&err)
	return fn()
}

// details returns args and the attribute "err" for a log record, and "stack" for a panic.
func details(err error, args ...any) []any {
	args = append(args, "err", err)
	if p, ok := errors.AsType[*rpc.PanicError](err); ok {
		args = append(args, "stack", string(p.Stack))
	}
	return args
}

// isClosing reports whether an error only means that the namespace or its log is closing.
func isClosing(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrClosed) || errors.Is(err, ErrClosed)
}
