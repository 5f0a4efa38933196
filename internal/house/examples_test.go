package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsWithoutAnExample(t *testing.T) {
	t.Parallel()
	const (
		f       = "func F() {}\n"
		m       = "type T[A any] struct{}\n\nfunc (*T[A]) M() {}\n"
		noF     = "rpc/rpc.go:3: no example of the package uses F\n"
		noM     = "rpc/rpc.go:5: no example of the package uses T.M\n"
		printed = "\tprintln()\n\t// Output:\n}\n"
	)
	for name, test := range map[string]struct {
		source, examples string
		faults           string
	}{
		"by name":               {f, "func ExampleF() {\n" + printed, ""},
		"by name, with a case":  {f, "func ExampleF_twice() {\n" + printed, ""},
		"method by name":        {m, "func ExampleT_M() {\n" + printed, ""},
		"used":                  {f, "func Example() {\n\trpc.F()\n" + printed, ""},
		"method used":           {m, "func Example() {\n\tnew(rpc.T[int]).M()\n" + printed, ""},
		"by a function":         {f, "func Example() {\n\thelp()\n" + printed + "\nfunc help() { rpc.F() }\n", ""},
		"by a variable":         {f, "var help = rpc.F\n\nfunc Example() {\n\thelp()\n" + printed, ""},
		"hook":                  {m, "type t struct{ rpc.T[int] }\n\nfunc (*t) M() {}\n\nfunc Example() {\n\t_ = t{}\n" + printed, ""},
		"promoted":              {m, "type t struct{ rpc.T[int] }\n\nfunc Example() {\n\tnew(t).M()\n" + printed, ""},
		"planted function":      {f + "\nfunc G() {}\n", "func ExampleG() {\n" + printed, noF},
		"planted method":        {m, "func ExampleT() { new(rpc.T[int]).M() }\n", noM},
		"without output":        {f, "func ExampleF() { rpc.F() }\n", noF},
		"name of another":       {f, "type t struct{}\n\nfunc (t) F() {}\n\nfunc Example() {\n\tt{}.F()\n" + printed, noF},
		"method of another":     {m + "\ntype U struct{}\n\nfunc (U) M() {}\n", "func ExampleU_M() {\n\trpc.U{}.M()\n" + printed, noM},
		"of another package":    {"func Background() {}\n", "func Example() {\n\tcontext.Background()\n" + printed, strings.ReplaceAll(noF, "F", "Background")},
		"hook of another":       {m, "type t struct{}\n\nfunc (*t) M() {}\n\nfunc Example() {\n\t_ = t{}\n" + printed, noM},
		"hook that is not used": {m, "type t struct{ rpc.T[int] }\n\nfunc (*t) M() {}\n\nfunc Example() {\n" + printed, noM},
		"function not used":     {f, "func Example() {\n" + printed + "\nfunc help() { rpc.F() }\n", noF},
		"not exported":          {"func f() {}\n\ntype u int\n\nfunc (u) M() {}\n", "", ""},
		"not called by name":    {"type T int\n\nfunc (T) String() string { return \"\" }\n", "", ""},
		"mentioned in a string": {f, "func Example() {\n\t_ = \"F\"\n" + printed, noF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			imports := "import (\n\t\"context\"\n\n\t\"example.com/m/rpc\"\n)\n\nvar (\n\t_ = context.TODO\n\t_ = rpc.Used\n)\n\n"
			plant(t, dir, map[string]string{
				architecture: "\n## Imports\n\n| `rpc` | |\n",
				"rpc/rpc.go": "package rpc\n\n" + test.source + "\nconst Used = 1\n", "rpc/example_test.go": "package rpc_test\n\n" + imports + test.examples,
			})
			var out, complaints bytes.Buffer
			status := run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, test.faults, out.String())
			require.Equal(t, test.faults != "", status == 1)
		})
	}
}

func TestRunReportsExamplesThatDoNotCompile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, map[string]string{
		architecture: "\n## Imports\n\n| `rpc` | |\n",
		"rpc/rpc.go": "package rpc\n\nfunc F() {}\n", "rpc/example_test.go": "package rpc_test\n\nfunc Example() { undefined() }\n",
	})
	var out, complaints bytes.Buffer
	require.Equal(t, 2, run(dir, &out, &complaints))
	require.Empty(t, out.String())
	require.Contains(t, complaints.String(), "undefined")
}
