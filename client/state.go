package client

import "strconv"

// State is the state of an iterator.
type State int

const (
	// StateConnecting means that a connection is being opened, or that a token for it is
	// being fetched.
	StateConnecting State = iota
	// StateLive means that events arrive as they are published, and that calls are sent
	// at once.
	StateLive
	// StateWaiting means that the connection was lost, and that the iterator waits
	// before the next attempt.
	StateWaiting
	// StateClosed means that the iterator has ended.
	StateClosed
)

// String returns the name of the state in lower case.
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateLive:
		return "live"
	case StateWaiting:
		return "waiting"
	case StateClosed:
		return "closed"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}
