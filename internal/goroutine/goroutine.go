// Package goroutine names goroutines, for functions that have to know whether the
// application calls them from its own function that they would wait for, and makes room
// on the stacks of new ones.
package goroutine

import (
	"runtime"
	"strings"
)

// Name returns the name of the calling goroutine, as it stands in stack traces. No other
// goroutine of the process has had it or will have it.
func Name() string {
	var trace [64]byte
	name, _, _ := strings.Cut(string(trace[:runtime.Stack(trace[:], false)]), " [")
	return name
}
