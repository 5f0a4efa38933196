package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsOnAPlantedImport(t *testing.T) {
	t.Parallel()
	const page = "# Architecture\n\n| `c` | `a` |\n\n## Imports\n\n" +
		"| package | may import |\n|---|---|\n| `a` | `b/c`, `d` |\n| `b/c` | `d` |\n| `d` | |\n\n## Next\n\n| `d` | `a` |\n"
	const at = "docs/architecture.md:9: "
	importing := func(name string, paths ...string) string {
		var source strings.Builder
		source.WriteString("package " + name + "\n\nimport \"fmt\"\n")
		for _, path := range paths {
			if path != "net/http" {
				path = "example.com/m/" + path
			}
			source.WriteString("import \"" + path + "\"\n")
		}
		return source.String()
	}
	inTable := func(rows string, files ...string) map[string]string {
		all := map[string]string{architecture: strings.Replace(page, "\n\n## Next", "\n"+rows+"\n\n## Next", 1)}
		for i := 0; i < len(files); i += 2 {
			all[files[i]] = files[i+1]
		}
		return all
	}
	for name, test := range map[string]struct {
		files  map[string]string
		faults string
	}{
		"as drawn":                     {nil, ""},
		"not drawn":                    {map[string]string{"d/planted.go": importing("d", "a")}, at + "d imports a, which its row does not list\n"},
		"drawn, row above":             {map[string]string{architecture: page[:len(page)-len("\n## Next\n\n| `d` | `a` |\n")] + "| `e` | `d` |\n", "e/e.go": importing("e", "d")}, at + "e imports d, whose row is not below\n"},
		"no row":                       {map[string]string{"e/e.go": importing("e")}, at + "e has no row\n"},
		"not imported":                 {map[string]string{"a/a.go": importing("a", "d")}, at + "a does not import b/c\n"},
		"test":                         {map[string]string{"d/d_test.go": importing("d", "a")}, ""},
		"program":                      {map[string]string{"e/main.go": importing("main", "a")}, ""},
		"program in a package":         {map[string]string{"d/main.go": "//go:build ignore\n\n" + importing("main", "a")}, at + "d imports a, which its row does not list\n"},
		"nested module":                {map[string]string{"e/go.mod": "module example.com/m/e\n", "e/f/f.go": importing("f", "a")}, at + "e/f has no row\n"},
		"helper of tests":              {map[string]string{"internal/leak/leak.go": importing("leak", "a")}, at + "internal/leak has no row\n"},
		"test in internal":             {map[string]string{"internal/x/x_test.go": importing("x_test", "a")}, at + "a test of internal/x imports a\n"},
		"test of internal in internal": {map[string]string{"internal/x/x_test.go": importing("x_test", "internal/x", "internal/leak", "rpc/value")}, ""},
		"test as drawn":                {inTable("| `internal/x` | `e` |\n| `e` | |", "internal/x/x.go", importing("x", "e"), "internal/x/x_test.go", importing("x", "e"), "e/e.go", importing("e")), ""},
		"never, standard":              {inTable("| `internal/fanout` | |", "internal/fanout/f.go", importing("fanout", "net/http")), at + "internal/fanout imports net/http, which it must not\n"},
		"never, drawn":                 {inTable("| `internal/fanout` | `rpc/value` |\n| `rpc/value` | |", "internal/fanout/f.go", importing("fanout", "rpc/value"), "rpc/value/v.go", importing("value")), at + "internal/fanout imports rpc/value, which it must not\n"},
		"http elsewhere":               {map[string]string{"d/http.go": importing("d", "net/http")}, ""},
		"example":                      {map[string]string{"examples/e/e.go": importing("e", "a")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := map[string]string{
				architecture: page, "a/a.go": importing("a", "b/c", "d"), "b/c/c.go": importing("c", "d"), "d/d.go": importing("d"),
			}
			maps.Copy(files, test.files)
			plant(t, dir, files)
			var out, complaints bytes.Buffer
			status := run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, test.faults, out.String())
			require.Equal(t, test.faults != "", status == 1)
		})
	}
}
