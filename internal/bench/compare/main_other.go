//go:build !linux

// Command compare measures this library and github.com/centrifugal/centrifuge. It reads
// the CPU time and the memory of other processes, which is only implemented for Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: it measures CPU time and memory of the servers, and does that on Linux only")
	os.Exit(1)
}
