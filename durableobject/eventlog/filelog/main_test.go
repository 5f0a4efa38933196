package filelog

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
)

// TestMain fails if a committer outlives its log.
func TestMain(m *testing.M) {
	code := m.Run()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if code == 0 && bytes.Contains(stacks, []byte("(*Log).run")) {
		fmt.Fprintf(os.Stderr, "a log was not closed:\n%s\n", stacks)
		code = 1
	}
	os.Exit(code)
}
