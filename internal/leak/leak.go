// Package leak finds goroutines that are still running when they should have ended. It is
// for tests, and for programs that run tests.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	// patience is how long goroutines may take to end after the last test.
	patience = 5 * time.Second

	poll = 10 * time.Millisecond
)

// Main runs the tests of the package that calls it from TestMain, with a [testing.M], and
// exits with their status. It fails if a goroutine that runs or was started by code of the
// package has not ended a few seconds after the last test.
func Main(m interface{ Run() int }) {
	os.Exit(run(m.Run, callerPackage(), patience))
}

// run returns the status of the tests, or 1 if they have passed but goroutines are left.
func run(tests func() int, part string, atMost time.Duration) int {
	status := tests()
	if status != 0 {
		return status
	}
	time.Sleep(poll) // a goroutine that has only been started has no stack yet
	left := Wait(part, 0, atMost)
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "left running:\n%s\n", strings.Join(left, "\n\n"))
	return 1
}

// callerPackage returns the import path of the package that has called Main, and a dot.
func callerPackage() string {
	callers := make([]uintptr, 1)
	runtime.Callers(3, callers)
	frame, _ := runtime.CallersFrames(callers).Next()
	name := frame.Function
	dir, function := name[:strings.LastIndexByte(name, '/')+1], name[strings.LastIndexByte(name, '/')+1:]
	return dir + function[:strings.IndexByte(function, '.')+1]
}

// Wait waits until at most the given number of goroutines whose stacks contain part are
// left, and returns nil. If that takes longer than atMost, it returns the stacks of those
// that are left.
func Wait(part string, most int, atMost time.Duration) []string {
	for end := time.Now().Add(atMost); ; time.Sleep(poll) {
		left := Find(part)
		if len(left) <= most {
			return nil
		}
		if time.Now().After(end) {
			return left
		}
	}
}

// Find returns the stacks of all goroutines, except the caller's, that contain part.
func Find(part string) []string {
	stacks := make([]byte, 1<<20)
	n := runtime.Stack(stacks, true)
	for n == len(stacks) {
		stacks = make([]byte, 2*n)
		n = runtime.Stack(stacks, true)
	}
	var found []string
	for i, stack := range strings.Split(string(stacks[:n]), "\n\n") {
		if i > 0 && strings.Contains(stack, part) { // the first is the caller's
			found = append(found, stack)
		}
	}
	return found
}
