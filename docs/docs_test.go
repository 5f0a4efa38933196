// Package docs_test checks the documents: their code must be part of an example, and the
// tests that they name must exist.
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

// compiled are the files, in addition to the examples, whose code is in pages.
var compiled = []string{
	"snippets_test.go", "../rpc/typescript/fixture_test.go", "../durableobject/eventlog/natslog/page_test.go",
}

// Every block of Go code in a page must be part of a compiled file: literally of an
// example, or of another file except for indentation and comments.
func TestPagesShowCompiledCode(t *testing.T) {
	t.Parallel()
	examples := readSources(t, "../examples") + readSources(t, "../internal/stacks")
	var others strings.Builder
	for _, file := range compiled {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		others.Write(source)
	}
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	shown := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for i, fence := range regexp.MustCompile("(?m)^ *```(.*)$").FindAllSubmatch(text, -1) {
			// Code without a language would not be checked.
			require.Equal(t, i%2 == 0, len(fence[1]) > 0, "%s: fence %d", page, i)
		}
		for _, block := range blocksOf(string(text), "go") {
			shown++
			if !strings.Contains(examples, block) {
				require.Contains(t, flat(others.String()), flat(block), page)
			}
		}
	}
	require.Greater(t, shown, 35)
}

// flat returns code without indentation, comments, and parts that only a linter requires.
func flat(code string) string {
	code = regexp.MustCompile(`(?m)^\t+(_, _ = )?`).ReplaceAllString(code, "")
	return regexp.MustCompile(`(?m),?( //.*)?$`).ReplaceAllString(code, "")
}

// blocksOf returns the blocks of code in a text that are in one of the languages.
func blocksOf(text, languages string) (code []string) {
	for _, block := range regexp.MustCompile("(?s)```(?:"+languages+")\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
		code = append(code, block[1])
	}
	return code
}

// readSources returns the source of all programs in a directory tree.
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

// The architecture names functions as [`Type.method`](file), and the paths of an event have
// the documented number of steps.
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

// Elsewhere it names declarations as `name` or `Type.method` in [a file](path).
func TestArchitectureNamesDeclarationsInTheirFiles(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	places := regexp.MustCompile("((?:`[\\w.]+`(?:,| and)? )+)in \\[[^\\]]+\\]\\(([^)]+\\.go)\\)").FindAllStringSubmatch(string(document), -1)
	require.Greater(t, len(places), 9)
	for _, place := range places {
		source, err := os.ReadFile(place[2])
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`[\w.]+\w`).FindAllString(strings.ReplaceAll(place[1], " and ", " "), -1) {
			declared := `(?m)^(?:func|type) ` + name + `\b`
			if of, method, found := strings.Cut(name, "."); found {
				declared = `(?m)^func \(\w+ \*?` + of + `(?:\[\w+\])?\) ` + method + `\(`
			}
			require.True(t, regexp.MustCompile(declared).Match(source), "%s in %s", name, place[2])
		}
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

// Every relative link of a page leads to a file and, if it names one, to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	heading := regexp.MustCompile("(?m)^#+ (.+)$")
	code := regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]+))?\)`)
	links := 0
	require.NoError(t, filepath.WalkDir("..", func(page string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(page) != ".md":
			return nil
		}
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, l := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), "code"), -1) {
			links++
			target := page
			if l[1] != "" {
				target = filepath.Join(filepath.Dir(page), l[1])
			}
			if l[2] == "" {
				_, err := os.Stat(target)
				require.NoError(t, err, page)
				continue
			}
			text, err := os.ReadFile(target)
			require.NoError(t, err, page)
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
				anchors = append(anchors, anchorOf(h[1]))
			}
			require.Contains(t, anchors, l[2], "%s: a link to %s", page, target)
		}
		return nil
	}))
	require.Greater(t, links, 100)
}

// anchorOf returns the anchor of a heading, as GitHub makes it.
func anchorOf(heading string) string {
	heading = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(heading, " ", "-")
}
