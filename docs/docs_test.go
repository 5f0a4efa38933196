// Package docs_test keeps the documents true: code in them stands in an example,
// and the tests that they name exist.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocumentsShowCompiledCode(t *testing.T) {
	t.Parallel()
	compiled := readSources(t, "../examples") + readSources(t, "../internal/stacks")
	for file, count := range map[string]int{"browsers.md": 1, "embedding.md": 15, "history.md": 1, "rpc.md": 6} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			for _, block := range codeOf(t, file, "go", count) {
				require.Contains(t, compiled, block)
			}
		})
	}
}

// codeOf returns the blocks of code of a document in some languages, of which there are as
// many as count.
func codeOf(t *testing.T, document, languages string, count int) (code []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```(?:"+languages+")\n(.*?)\n```").FindAllSubmatch(text, -1)
	require.Len(t, blocks, count, document)
	for _, block := range blocks {
		code = append(code, string(block[1]))
	}
	return code
}

// readSources returns the source of all programs below a directory.
func readSources(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	}))
	return all.String()
}

// Documents name tests as `package.TestName`, by the package's directory.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	for document, least := range map[string]int{"behaviours.md": 100, "client.md": 30, "performance.md": 1, "access.md": 6, "operating.md": 3, "presence.md": 6} {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			requireTests(t, document, least)
		})
	}
}

// The architecture names functions as [`Type.method`](file), and the ways of an event
// are as short as it says.
func TestArchitectureNamesFunctionsThatExist(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	steps := regexp.MustCompile("(?m)^\\| (\\d+) \\| \\[`(\\w+)\\.(\\w+)`\\]\\(([^)]+)\\)").FindAllStringSubmatch(string(document), -1)
	last := []string{}
	for i, step := range steps {
		if i+1 == len(steps) || steps[i+1][1] == "1" {
			last = append(last, step[1])
		}
		declared := regexp.MustCompile(`(?m)^func \(\w+ \*?` + step[2] + `(?:\[\w+\])?\) ` + step[3] + `\(|^type ` + step[2] + ` interface`)
		source, err := os.ReadFile(step[4])
		require.NoError(t, err)
		require.Regexp(t, declared, string(source))
	}
	require.Equal(t, []string{"12", "6"}, last)
	for _, link := range regexp.MustCompile(`\]\((\.\./[^)]+)\)`).FindAllStringSubmatch(string(document), -1) {
		require.FileExists(t, link[1])
	}
}

func requireTests(t *testing.T, file string, least int) {
	t.Helper()
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	exists := map[string]map[string]bool{}
	named := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz|Example)\\w*)`").FindAllSubmatch(document, -1)
	require.Greater(t, len(named), least)
	for _, name := range named {
		dir, test := string(name[1]), string(name[2])
		if exists[dir] == nil {
			exists[dir] = readTests(t, filepath.Join("..", dir))
		}
		require.True(t, exists[dir][test], "%s has no %s", dir, test)
	}
}

// readTests returns the names of the tests in a directory.
func readTests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	tests := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests
}
