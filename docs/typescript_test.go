package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The code of the page about TypeScript stands in files that are compiled, or written by
// the generator.
func TestTypeScriptDocumentShowsCompiledCode(t *testing.T) {
	t.Parallel()
	var compiled strings.Builder
	for _, file := range []string{
		"../examples/contract/tickets/tickets.go", "../examples/contract/typescript/main.go", "../examples/contract/web/page.ts",
		"../rpc/typescript/fixture_test.go", "../rpc/typescript/testdata/usage.ts", "../rpc/typescript/testdata/kinds.ts",
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		compiled.Write(source)
	}
	document, err := os.ReadFile("typescript.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```(?:go|ts)\n(.*?)\n```").FindAllSubmatch(document, -1)
	require.Len(t, blocks, 10)
	for _, block := range blocks {
		require.Contains(t, compiled.String(), string(block[1]))
	}
}
