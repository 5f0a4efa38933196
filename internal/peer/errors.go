package peer

import (
	"errors"
	"fmt"
	"net/http"
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

// MayPass reports whether a request that was refused with a status may succeed later, unchanged.
func MayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status < 400 || status > 499
	}
}

// Final marks the error of a call that would fail again however often it is repeated.
func Final(err error) error { return &marked{err, final} }

// IsFinal reports whether the tree of err has an error that was marked by [Final].
func IsFinal(err error) bool { return hasMark(err, final) }

// Suspect marks an error of a connection that may be the fault of any call on it, so that a
// call that is repeated may cause it again.
func Suspect(err error) error { return &marked{err, suspect} }

// IsSuspect reports whether the tree of err has an error that was marked by [Suspect].
func IsSuspect(err error) bool { return hasMark(err, suspect) }

// mark is what is known of an error, for those who repeat calls.
type mark int

const (
	final mark = iota + 1
	suspect
)

type marked struct {
	error
	mark mark
}

// Unwrap returns the error that was marked.
func (e *marked) Unwrap() error { return e.error }

func hasMark(err error, m mark) bool {
	e, ok := errors.AsType[*marked](err)
	return ok && e.mark == m
}
