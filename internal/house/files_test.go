package main

import (
	"bytes"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsOnAPlantedReference(t *testing.T) {
	t.Parallel()
	const page = "# Architecture\n\n## The files of a\n\nText.\n\n| file | has |\n|---|---|\n" +
		"| `top.go` | x |\n| `left.go`, `right.go` | `y` |\n| `base.go` | z |\n\n## Imports\n\n| `a` | |\n"
	const at = "docs/architecture.md:3: "
	for name, test := range map[string]struct {
		files  map[string]string
		faults string
	}{
		"downwards": {nil, ""},
		"upwards, a function": {
			map[string]string{"a/base.go": "package a\n\ntype base struct{}\n\nvar _ = top\n"},
			at + "base.go of a refers to top.go, whose row is above\n",
		},
		"upwards, a method": {
			map[string]string{"a/right.go": "package a\n\nimport \"fmt\"\n\nfunc right(l left) { fmt.Print(l.up()) }\n"},
			at + "right.go of a refers to top.go, whose row is above\n",
		},
		"a name of another declaration": {
			map[string]string{"a/base.go": "package a\n\ntype base struct{ top int }\n\nvar _ = base{top: 1}.top\n"}, "",
		},
		"tests and documentation": {
			map[string]string{"a/base_test.go": "package a\n\nvar _ = top\n", "a/doc.go": "package a\n\nvar _ = top\n"}, "",
		},
		"no row":  {map[string]string{"a/new.go": "package a\n"}, at + "new.go of a has no row\n"},
		"no file": {map[string]string{architecture: page + "\n## The files of b\n\n| `c.go` | x |\n"}, "docs/architecture.md:17: b has no file c.go\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := map[string]string{
				"go.mod": "module example.com/m\n", architecture: page,
				"a/top.go":   "package a\n\nfunc top() { right(left{}) }\n\nfunc (l left) up() int { return 0 }\n",
				"a/left.go":  "package a\n\ntype left struct{ base }\n\nfunc (left) call() { right(left{}) }\n",
				"a/right.go": "package a\n\nfunc right(l left) { l.call() }\n",
				"a/base.go":  "package a\n\ntype base struct{}\n",
			}
			maps.Copy(files, test.files)
			plant(t, dir, files)
			var out, complaints bytes.Buffer
			run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, test.faults, out.String())
		})
	}
}
