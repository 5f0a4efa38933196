package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsOnAPlantedWord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source string
		faults string
	}{
		"nothing":              {"// F returns a value.\nfunc F() {}", ""},
		"comment":              {"// F gives a value.\nfunc F() {}", "dir/planted.go:3: gives\n"},
		"block comment":        {"/* F\n * Gives a value. */\nfunc F() {}", "dir/planted.go:4: Gives\n"},
		"across lines":         {"// F tells\n// whether it is so.\nfunc F() {}", "dir/planted.go:3: tells whether\n"},
		"says whether":         {"// It says whether it is so.", "dir/planted.go:3: says whether\n"},
		"says that":            {"// It says that it is so.", "dir/planted.go:3: says that\n"},
		"has told of":          {"// F has every h told of it.", "dir/planted.go:3: has every h told of\n"},
		"has told of, in two":  {"// F had h\n// told of it.", "dir/planted.go:3: had h told of\n"},
		"whoever":              {"var x = 1 // whoever", "dir/planted.go:3: whoever\n"},
		"lets go of":           {"// F lets go of it.", "dir/planted.go:3: lets go of\n"},
		"once more":            {"// F runs Once more.", "dir/planted.go:3: Once more\n"},
		"in a word":            {"// F is, in a word, it.", "dir/planted.go:3: in a word\n"},
		"message":              {`var err = errors.New("it gives up")`, "dir/planted.go:3: gives\n"},
		"raw string":           {"const s = `a\nonce more`", "dir/planted.go:4: once more\n"},
		"part of another word": {"// forgives, told of, has it been told", ""},
		"both":                 {"// gives\n// whoever", "dir/planted.go:3: gives\ndir/planted.go:4: whoever\n"},
		"constant":             {"const maxLetters = 3", "dir/planted.go:3: maxLetters\n"},
		"type":                 {"type Keeper struct{}", "dir/planted.go:3: Keeper\n"},
		"field":                {"type T struct{ stride int }", "dir/planted.go:3: stride\n"},
		"function":             {"func run_chore() {}", "dir/planted.go:3: run_chore\n"},
		"method":               {"func (t T) Chores() {}", "dir/planted.go:3: Chores\n"},
		"parameter":            {"func f(letter int) {}", "dir/planted.go:3: letter\n"},
		"assigned":             {"func f() { a, letter := 1, 2 }", "dir/planted.go:3: letter\n"},
		"ranged":               {"func f() { for letter := range x {} }", "dir/planted.go:3: letter\n"},
		"not declared here":    {"func f() { unicode.IsLetter(1); goalkeeper := 1 }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			plant(t, dir, map[string]string{"dir/planted.go": "package p\n\n" + test.source + "\n", "dir/testdata/skipped.go": "// gives"})
			var out, complaints bytes.Buffer
			status := run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, test.faults, filepath.ToSlash(out.String()))
			require.Equal(t, test.faults != "", status == 1)
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
	all := map[string]string{"go.mod": "module example.com/m\n", architecture: "# Architecture\n\n## Imports\n\n| `dir` | |\n"}
	maps.Copy(all, files)
	for name, content := range all {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
}
