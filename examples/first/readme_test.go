// Package first_test compares the code in README.md with this example.
package first_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadmeShowsCompiledCode(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var compiled strings.Builder
	for _, name := range []string{"chat/chat.go", "server/main.go", "client/main.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		compiled.Write(source)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)\n```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		require.Contains(t, compiled.String(), string(block[1]))
	}
}
