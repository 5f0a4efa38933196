package node_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
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
		t.Fatalf("the tests with TypeScript need %s: %v", name, err)
	}
	// The only skip of this project. Developers of the library need not have
	// Node, and CI always has it.
	t.Skipf("%s is missing: NOT TESTED against TypeScript", name) //nolint:forbidigo // CI fails instead
	return ""
}

// install installs what the scripts need: the packages of the lock file, and our own
// client for TypeScript, compiled. Tests that run at once share one installation.
func install(t *testing.T) {
	t.Helper()
	tool(t, "node")
	tool(t, "npm")
	require.NoError(t, installOnce())
}

var installOnce = sync.OnceValue(func() error {
	const client = "../../../client/js"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, dir := range []string{".", client} {
		if err := npm.Install(ctx, dir); err != nil {
			return err
		}
	}
	return npm.Run(ctx, client, "run", "build")
})

// patience is how long npm may take.
const patience = 3 * time.Minute
