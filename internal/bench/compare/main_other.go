//go:build !linux

// Command compare puts this library beside github.com/centrifugal/centrifuge. It reads
// the CPU time and the memory of other processes, which it can only on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: it measures CPU time and memory of the servers, and does that on Linux only")
	os.Exit(1)
}
