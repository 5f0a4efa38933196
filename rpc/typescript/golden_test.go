package typescript_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

var update = flag.Bool("update", false, "write the golden files")

// The modules in testdata are compiled, and their format is checked, by tests with the build
// tag e2e.
func TestModules(t *testing.T) {
	t.Parallel()
	plain := options()
	plain.Plain = true
	noNil := options()
	noNil.NoNil = true
	for file, o := range map[string]*typescript.Options{
		"kinds.ts": options(), "plain.ts": plain, "nonil.ts": noNil, "long.ts": longOptions(),
		"original.ts": originalOptions(),
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			var module bytes.Buffer
			require.NoError(t, typescript.Write(&module, o))
			if *update {
				require.NoError(t, os.WriteFile("testdata/"+file, module.Bytes(), 0o600))
			}
			golden, err := os.ReadFile("testdata/" + file)
			require.NoError(t, err)
			require.Equal(t, string(golden), module.String(), "go test ./rpc/typescript -update")
		})
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	t.Parallel()
	var first bytes.Buffer
	require.NoError(t, typescript.Write(&first, options()))
	for range 20 {
		var again bytes.Buffer
		require.NoError(t, typescript.Write(&again, options()))
		require.Equal(t, first.String(), again.String())
	}
}
