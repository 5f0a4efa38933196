package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// Errors that callers may test for with [errors.Is]. They are wrapped when returned.
var (
	// ErrGap means that events are missing: see [GapError].
	ErrGap = errors.New("client: events are missing")
	// ErrRefused means that the server rejected a newly fetched token that had not
	// expired, or that the TokenSource returned an error with status 401, 403 or 404.
	ErrRefused = errors.New("client: token refused")
	// ErrEnded means that the server has ended the iterator: see [EndedError].
	ErrEnded = errors.New("client: ended by the server")
	// ErrClosed is the error of calls on an iterator that has ended.
	ErrClosed = peer.Final(errors.New("client: iterator closed"))
	// ErrNoToken means that a [TokenSource], or the procedure of a subscription, has
	// returned a value that is not a token.
	ErrNoToken = errors.New("client: expected valid token")
	// ErrNoPlugin means that a link has no [LinkPlugin].
	ErrNoPlugin = errors.New("client: the link has no client.LinkPlugin")
	// ErrOptions means that [Options] are wrong.
	ErrOptions = errors.New("client: bad options")
)

// GapReason is the reason why events are missing.
type GapReason int

const (
	// GapTruncated means that the server no longer keeps all missed events, or does
	// not know the last event id. The events that it still keeps follow.
	GapTruncated GapReason = iota + 1
	// GapNoResume means that the client could not resume: the server keeps no events, so
	// that those published while the client was not connected are lost, or an event without
	// an id, such as those of durableobject.Websocket.Send, was dropped because events were
	// read too slowly. The server may have sent that one again, with its OnSubscribed.
	GapNoResume
	// GapReset means that the server has started to count its events from 1 again, so
	// that it does not know the last event id.
	GapReset
	// GapUnreadable means that an event has arrived that this client cannot read: it is
	// larger than Options.MaxMessageBytes, it is malformed, or its value is not of the
	// iterator's type. GapError.Err has the details.
	GapUnreadable
)

// String returns the reason in lower case.
func (r GapReason) String() string {
	switch r {
	case GapTruncated:
		return "truncated"
	case GapNoResume:
		return "no resume"
	case GapReset:
		return "reset"
	case GapUnreadable:
		return "unreadable"
	}
	return "GapReason(" + strconv.Itoa(int(r)) + ")"
}

// GapError reports that events are missing. It is returned in their place: after the events
// before the gap and before those after it. It does not end the iterator. See
// Options.OnGap, [Iterator.All] and [Iterator.Events]. It wraps [ErrGap].
type GapError struct {
	// Reason is why events are missing.
	Reason GapReason
	// Channel is the channel of the events.
	Channel string
	// Path is the path of the procedure that [Subscribe] has called, its names joined
	// by dots. It is empty for [Dial].
	Path string
	// LastEventID is the id of the last event before the gap, or empty if none had one.
	LastEventID string
	// Err is an [*EventError] if Reason is GapUnreadable, and nil otherwise. If several
	// successive events cannot be read, it is about the last one.
	Err error
}

// Error returns the reason, and Err if there is one.
func (e *GapError) Error() string {
	text := ErrGap.Error() + ": " + e.Reason.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns [ErrGap], and Err if there is one.
func (e *GapError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrGap, e.Err}
	}
	return []error{ErrGap}
}

// EventError describes an event that cannot be read. It is the Err of a [*GapError].
type EventError struct {
	// ID is the event's id, or empty if it has none or its id cannot be read.
	ID string
	// Err is the reason why the event cannot be read.
	Err error
}

// Error returns the event's id and the reason.
func (e *EventError) Error() string { return fmt.Sprintf("client: read event %q: %v", e.ID, e.Err) }

// Unwrap returns the reason.
func (e *EventError) Unwrap() error { return e.Err }

// answerError returns the error of an HTTP response, as a link returns it.
func answerError(status int, header http.Header, body string) *rpc.Error {
	text := http.StatusText(status)
	if body = strings.TrimSpace(body); body != "" {
		text = body
	}
	err := transport.AnswerError(status, header, body)
	err.Message = text
	return err
}

// statusOf returns the HTTP status of an error that the server has sent, or 0 for other
// errors.
func statusOf(err error) int {
	if e, ok := errors.AsType[*rpc.Error](err); ok {
		return rpc.ToError(e).Status
	}
	return 0
}

// isFinal reports whether a first connection that has failed with err is not retried.
func isFinal(err error) bool {
	switch status := statusOf(err); status {
	case http.StatusUnauthorized: // another token may be accepted
		return false
	case http.StatusNotImplemented: // middleware of the server prevents WebSockets
		return true
	default:
		return !peer.MayPass(status) || errors.Is(err, ErrOptions)
	}
}

// reasonExpired is the reason in the close frame of a socket whose token has expired.
const reasonExpired = "Token expired"

// isTokenRefused reports whether the server has rejected the token of the connection.
func isTokenRefused(err error) bool {
	closed, ok := errors.AsType[websocket.CloseError](err)
	return ok && closed.Code == websocket.StatusPolicyViolation && closed.Reason == reasonExpired ||
		statusOf(err) == http.StatusUnauthorized
}

// isFetchRefused reports whether the source has refused to return a token.
func isFetchRefused(err error) bool {
	switch statusOf(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

// retryAfter returns how long the server asks the client to wait, or 0.
func retryAfter(err error, now time.Time) time.Duration {
	answer, dataErr := rpc.ErrorData[rpc.ErrorResponse](err)
	if dataErr != nil {
		return 0
	}
	text := answer.Headers.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, int(maxHint/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		if sent, err := http.ParseTime(answer.Headers.Get("Date")); err == nil {
			now = sent // the clock of the server
		}
		return max(0, at.Sub(now))
	}
	return 0
}

// prefixedError is an error whose text names the package once, at the beginning.
type prefixedError struct {
	text   string
	causes []error
}

// Error returns the text of the first error and its cause.
func (e *prefixedError) Error() string { return e.text }

// Unwrap returns the errors that it was made of.
func (e *prefixedError) Unwrap() []error { return e.causes }

// prefixed returns an error that wraps err. Its text begins with head, which names the package.
// That of err follows, without the name if it begins with it too.
func prefixed(head string, err error) *prefixedError {
	text := fmt.Sprint(err) // which survives a method of the application that panics
	return &prefixedError{head + ": " + strings.TrimPrefix(text, "client: "), []error{err}}
}

// because is like prefixed with the text of what as the head, and wraps what as well.
func because(what, err error) *prefixedError {
	e := prefixed(what.Error(), err)
	e.causes = []error{what, err}
	return e
}
