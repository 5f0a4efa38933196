package peer

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is wrapped by the errors of calls in flight when the socket closes.
	ErrClosed = errors.New("peer: closed")

	// ErrAborted is the cause of a handler's context whose client has sent an abort, and is
	// returned by reads of a stream that was closed.
	ErrAborted = errors.New("peer: aborted")

	// ErrFinished is returned by the methods of a call that send, after it has ended.
	ErrFinished = errors.New("peer: call is finished")

	// ErrResponded is returned by a second [Call.Respond].
	ErrResponded = errors.New("peer: call already has a response")

	// ErrTooManyStreams is returned by a [Call.Respond] that would open more event streams
	// than [ServerOptions.MaxStreams].
	ErrTooManyStreams = errors.New("peer: too many open streams")

	// ErrNoStream is returned if a request or a response is not an event stream but must
	// be.
	ErrNoStream = errors.New("peer: not an event stream")
)

// closedError returns [ErrClosed], joined with the cause unless that is nil.
func closedError(cause error) error {
	if cause == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}
