package dial

import "errors"

// Change is an event that concerns the whole program and that its connections depend on.
type Change int

const (
	// Back means that the program or its network was away and is back. An open connection
	// may be dead, and another one can be opened at once.
	Back Change = iota
	// Offline means that the network is not reachable.
	Offline
	// Away means that the program is about to be suspended, perhaps for good, with its
	// connections open. Back follows if it is resumed.
	Away
)

// ErrOffline and ErrAway are the reasons for closing a connection after [Offline] and
// [Away].
var (
	ErrOffline = errors.New("the network is offline")
	ErrAway    = errors.New("the page is put away")
)
