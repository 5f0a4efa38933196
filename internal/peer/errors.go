package peer

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is wrapped by the errors of calls in flight when the socket closes.
	ErrClosed = errors.New("peer: closed")

	// ErrAborted ends what one side has stopped: the context of a handler whose
	// client has sent an abort, and the reads of a stream that was closed.
	ErrAborted = errors.New("peer: aborted")

	// ErrFinished is returned by methods that send for a call that has ended.
	ErrFinished = errors.New("peer: call is finished")

	// ErrResponded is returned by a second [Call.Respond].
	ErrResponded = errors.New("peer: call has a response already")

	// ErrTooManyStreams is returned by a [Call.Respond] that would open one event stream
	// more than [ServerOptions.MaxStreams].
	ErrTooManyStreams = errors.New("peer: too many open streams")

	// ErrNoStream is returned where an event stream is needed and there is none.
	ErrNoStream = errors.New("peer: not an event stream")
)

// closedError joins [ErrClosed] with the reason, if there is one.
func closedError(cause error) error {
	if cause == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}
