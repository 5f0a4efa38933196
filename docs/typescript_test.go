package docs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The TypeScript code in the page about it must be part of files that are compiled or
// generated.
func TestTypeScriptPageShowsCompiledCode(t *testing.T) {
	t.Parallel()
	var compiled strings.Builder
	for _, file := range []string{
		"../examples/contract/web/page.ts", "../rpc/typescript/testdata/usage.ts", "../rpc/typescript/testdata/kinds.ts",
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		compiled.Write(source)
	}
	page, err := os.ReadFile("typescript.md")
	require.NoError(t, err)
	blocks := blocksOf(string(page), "ts")
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		require.Contains(t, compiled.String(), block)
	}
}

// The store in the page about browsers must be part of a file that is checked with the
// pages of the example.
func TestBrowsersPageShowsCheckedCode(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../examples/browser/web/test/store.ts")
	require.NoError(t, err)
	page, err := os.ReadFile("browsers.md")
	require.NoError(t, err)
	blocks := blocksOf(string(page), "ts")
	require.Len(t, blocks, 1)
	for _, block := range blocks {
		require.Contains(t, string(source), block)
	}
}
