package client

import "github.com/go-orpc/durable-iterator/internal/dial"

// Spread is the default of Options.Backoff, with a random function of the test.
var Spread = spread

// SetChanges replaces the changes of the program by those that a test sends.
func (o *Options) SetChanges(changes <-chan dial.Change) {
	o.watch = func() (<-chan dial.Change, func()) { return changes, func() {} }
}
