package node_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// installed is the lock file as it was when its packages were installed.
const installed = "node_modules/.installed-lock.json"

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
	npm(t, dir, "run", "build")
}

func installIn(t *testing.T, dir string) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	require.NoError(t, err)
	mark := filepath.Join(dir, installed)
	if present, err := os.ReadFile(mark); err == nil && bytes.Equal(present, lock) {
		return
	}
	npm(t, dir, "ci")
	require.NoError(t, os.WriteFile(mark, lock, 0o600))
}

func npm(t *testing.T, dir string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, "npm"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "npm %s in %s:\n%s", args, dir, out)
}
