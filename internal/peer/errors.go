package peer

import (
	"errors"
	"fmt"
)

// The texts of errors do not name the package, whose callers add the name of theirs.
var (
	// ErrClosed is wrapped by the errors of calls in flight when the socket closes.
	ErrClosed = errors.New("the socket is closed")

	// ErrAborted ends what one side has stopped: the context of a handler whose
	// client has sent an abort, and the reads of a stream that was closed.
	ErrAborted = errors.New("aborted")

	// ErrFinished is returned by methods that send for a call that has ended.
	ErrFinished = errors.New("the call has ended")

	// ErrResponded is returned by a second [Call.Respond].
	ErrResponded = errors.New("the call has a response already")

	// ErrTooManyStreams is returned by a [Call.Respond] that would open one event stream
	// more than [ServerOptions.MaxStreams].
	ErrTooManyStreams = errors.New("too many open streams")

	// ErrNoStream is returned where an event stream is needed and there is none.
	ErrNoStream = errors.New("not a stream of events")
)

// closedError joins [ErrClosed] with the reason, if there is one.
func closedError(cause error) error {
	if cause == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}
