// Package goroutine names goroutines and grows their stacks. The name is for functions that
// would wait for a function of the application, and must not if that has called them.
package goroutine

import (
	"runtime"
	"strings"
)

// Name returns the name of the calling goroutine, as in stack traces. It is unique in the
// process, even among goroutines that have ended.
func Name() string {
	var trace [64]byte
	name, _, _ := strings.Cut(string(trace[:runtime.Stack(trace[:], false)]), " [")
	return name
}
