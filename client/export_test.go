package client

import "github.com/go-orpc/durable-iterator/internal/dial"

// Spread is the default of Options.Backoff with chance of the test's own.
var Spread = spread

// SetChanges replaces what happens to the program by what a test sends.
func (o *Options) SetChanges(changes <-chan dial.Change) {
	o.watch = func() (<-chan dial.Change, func()) { return changes, func() {} }
}
