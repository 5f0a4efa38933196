//go:build !linux

// Command compare measures this library and github.com/centrifugal/centrifuge. It reads
// the CPU time and the memory of other processes, which is only implemented for Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: CPU time and memory of the servers can only be measured on Linux")
	os.Exit(1)
}
