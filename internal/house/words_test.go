package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsOnAPlantedWord(t *testing.T) {
	t.Parallel()
	runPlanted(t, "testdata/words.txt", 46, func(_, source string) map[string]string {
		source = "package p\n\n" + source
		return map[string]string{"dir/planted.go": source, "dir/testdata/skipped.go": source}
	})
}

func TestRunFailsOnAPlantedPhraseOfAPage(t *testing.T) {
	t.Parallel()
	runPlanted(t, "testdata/pages.txt", 8, func(name, text string) map[string]string {
		_, file, _ := strings.Cut(name, " in ")
		return map[string]string{"dir/dir.go": "package p\n", file: text}
	})
}

// runPlanted runs the checks on the n texts of a file, each with the faults that it has.
func runPlanted(t *testing.T, file string, n int, files func(name, text string) map[string]string) {
	t.Helper()
	planted, err := os.ReadFile(file)
	require.NoError(t, err)
	tests := strings.Split("\n"+string(planted), "\n== ")[1:]
	require.Len(t, tests, n)
	for _, test := range tests {
		name, test, _ := strings.Cut(test, "\n")
		text, faults, found := strings.Cut(test, "\n--")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, found)
			faults := strings.TrimSpace(faults)
			dir := t.TempDir()
			plant(t, dir, files(name, text+"\n"))
			var out, complaints bytes.Buffer
			status := run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, faults, strings.TrimSpace(out.String()))
			require.Equal(t, faults != "", status == 1)
		})
	}
}

func TestRunReportsAFileThatIsNotGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, map[string]string{"broken.go": "no package"})
	var out, complaints bytes.Buffer
	require.Equal(t, 2, run(dir, &out, &complaints))
	require.Empty(t, out.String())
	require.Contains(t, complaints.String(), "broken.go")
}

// plant writes files of a module to dir, and those that the checks need.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	all := map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", architecture: "# Architecture\n\n## Imports\n\n| `dir` | |\n"}
	maps.Copy(all, files)
	for name, content := range all {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
}
