package client

import "strconv"

// State is how far an iterator has come.
type State int

const (
	// StateConnecting says that a connection is being opened, or a token fetched
	// for one.
	StateConnecting State = iota
	// StateLive says that events arrive as they are published, and calls are sent at once.
	StateLive
	// StateWaiting says that the connection is lost, and that it is too early to
	// try again.
	StateWaiting
	// StateClosed says that the iterator has ended.
	StateClosed
)

// String gives the state in a word.
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
