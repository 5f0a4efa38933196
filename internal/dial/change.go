package dial

import "errors"

// Change is what happens to the whole program that its connections depend on.
type Change int

const (
	// Back means that the program, or its network, was away and has come back: an open
	// connection may be dead, and there is no reason to wait before opening another one.
	Back Change = iota
	// Offline means that the network is gone.
	Offline
	// Away means that the program is about to stand still, perhaps for good, with its
	// connections open. Back follows if it goes on.
	Away
)

// ErrOffline and ErrAway are why a connection was closed after [Offline] and [Away].
var (
	ErrOffline = errors.New("the network is offline")
	ErrAway    = errors.New("the page is put away")
)
