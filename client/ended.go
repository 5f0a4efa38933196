package client

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
)

// closeRefused plus an HTTP status is the code of a close frame that means the same as an
// upgrade that was refused with that status.
const closeRefused = 4000

// EndedError is the error of an iterator whose socket the server has closed with code 4403
// or 4410, which mean that the client must not reconnect. The server does so, for example,
// with durableobject.Namespace.Disconnect. It wraps [ErrEnded] and an [*rpc.Error] with
// status 403 or 410.
type EndedError struct {
	// Code is the code of the close frame, 4403 or 4410.
	Code int
	// Reason is the reason in the close frame, which may be empty.
	Reason string

	refusal error
}

// Error returns the code and the reason.
func (e *EndedError) Error() string {
	text := ErrEnded.Error() + ": " + strconv.Itoa(e.Code)
	if e.Reason != "" {
		text += " " + e.Reason
	}
	return text
}

// Unwrap returns [ErrEnded], and the refusal as an [*rpc.Error].
func (e *EndedError) Unwrap() []error { return []error{ErrEnded, e.refusal} }

// refusalOf returns the error of a connection that has ended with err. If err is a close
// frame whose code contains an HTTP status, it is a refusal with that status.
func refusalOf(err error) error {
	closed, ok := errors.AsType[websocket.CloseError](err)
	status := int(closed.Code) - closeRefused
	if !ok || status < 400 || status > 599 {
		return err
	}
	var refusal error = answerError(status, http.Header{}, closed.Reason).WithCause(err)
	switch status {
	case http.StatusForbidden, http.StatusGone:
		refusal = &EndedError{Code: int(closed.Code), Reason: closed.Reason, refusal: refusal}
	}
	return refusal
}
