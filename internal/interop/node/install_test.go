package node_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/interop/npm"
)

// tool finds a program of Node. Where it is missing, CI fails.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if isCI, _ := strconv.ParseBool(os.Getenv("CI")); isCI { // unset or odd: no CI
		t.Fatalf("%s is missing, and without it nothing shows that TypeScript understands us: %v", name, err)
	}
	// The only skip of this project. Developers of the library need not have
	// Node, and CI always has it.
	t.Skipf("%s is missing: NOT TESTED against TypeScript", name) //nolint:forbidigo // CI fails instead
	return ""
}

// install installs the packages of the lock file, unless they are there.
func install(t *testing.T) {
	t.Helper()
	installIn(t, ".")
}

// buildClient compiles our own client for TypeScript.
func buildClient(t *testing.T) {
	t.Helper()
	const dir = "../../../client/js"
	installIn(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, npm.Run(ctx, dir, "run", "build"))
}

func installIn(t *testing.T, dir string) {
	t.Helper()
	tool(t, "npm")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, npm.Install(ctx, dir))
}

// patience is how long npm may take.
const patience = 3 * time.Minute
