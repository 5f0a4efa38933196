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
	planted, err := os.ReadFile("testdata/words.txt")
	require.NoError(t, err)
	tests := strings.Split("\n"+string(planted), "\n== ")[1:]
	require.Len(t, tests, 31)
	for _, test := range tests {
		name, test, _ := strings.Cut(test, "\n")
		source, faults, found := strings.Cut(test, "\n--")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, found)
			source, faults := "package p\n\n"+source+"\n", strings.TrimSpace(faults)
			dir := t.TempDir()
			plant(t, dir, map[string]string{"dir/planted.go": source, "dir/testdata/skipped.go": source})
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
