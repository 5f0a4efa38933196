package peer

import (
	"errors"
	"fmt"
)

// The texts of errors do not name the package, whose callers add the name of theirs.
var (
	// ErrClosed is wrapped by the errors of calls in flight when the socket closes.
	ErrClosed = errors.New("the socket is closed")

	// ErrAborted is the cause of a handler's context whose client has sent an abort, and is
	// returned by reads of a stream that was closed.
	ErrAborted = errors.New("aborted")

	// ErrFinished is returned by the methods of a call that send, after it has ended.
	ErrFinished = errors.New("the call has ended")

	// ErrResponded is returned by a second [Call.Respond].
	ErrResponded = errors.New("the call already has a response")

	// ErrTooManyStreams is returned by a [Call.Respond] that would open more event streams
	// than [ServerOptions.MaxStreams].
	ErrTooManyStreams = errors.New("too many open streams")

	// ErrNoStream is returned if a request or a response is not an event stream but must
	// be.
	ErrNoStream = errors.New("not an event stream")
)

// closedError returns [ErrClosed], joined with the cause unless that is nil.
func closedError(cause error) error {
	if cause == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}
