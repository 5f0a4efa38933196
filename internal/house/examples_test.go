package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunFailsWithoutAnExample(t *testing.T) {
	t.Parallel()
	const declared = "package rpc\n\ntype T[A any] struct{}\n\n"
	for name, test := range map[string]struct {
		source, examples string
		faults           string
	}{
		"by name":               {"func F() {}\n", "func ExampleF() {}\n", ""},
		"by name, with a case":  {"func F() {}\n", "func ExampleF_twice() {}\n", ""},
		"method by name":        {"func (*T[A]) M() {}\n", "func ExampleT_M() {}\n", ""},
		"used":                  {"func (T[A]) M() {}\n", "func Example() { rpc.T[int]{}.M() }\n", ""},
		"hook":                  {"func (T[A]) M() {}\n", "type t struct{}\n\nfunc (t) M() {}\n", ""},
		"planted function":      {"func F() {}\n", "func ExampleG() {}\n", "rpc/rpc.go:5: no example of the package uses F\n"},
		"planted method":        {"func (*T[A]) M() {}\n", "func TestM() { rpc.T[int]{}.M() }\n", "rpc/rpc.go:5: no example of the package uses M\n"},
		"not exported":          {"func f() {}\n\ntype u int\n\nfunc (u) M() {}\n", "", ""},
		"not called by name":    {"func (T[A]) String() string { return \"\" }\n", "", ""},
		"mentioned in a string": {"func F() {}\n", "func Example() { println(\"F\") }\n", "rpc/rpc.go:5: no example of the package uses F\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			plant(t, dir, map[string]string{
				"go.mod": "module example.com/m\n", architecture: "\n## Imports\n\n| `rpc` | |\n",
				"rpc/rpc.go": declared + test.source, "rpc/example_test.go": "package rpc_test\n\n" + test.examples,
			})
			var out, complaints bytes.Buffer
			status := run(dir, &out, &complaints)
			require.Empty(t, complaints.String())
			require.Equal(t, test.faults, out.String())
			require.Equal(t, test.faults != "", status == 1)
		})
	}
}
