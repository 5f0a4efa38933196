//go:build e2e

package typescript_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// workspace returns a directory like that of a page, with the files of testdata and of an
// example, our client as it is published, and the packages that npm --prefix client/js ci
// has installed.
func workspace(t *testing.T) string {
	t.Helper()
	client, err := filepath.Abs("../../client/js")
	require.NoError(t, err)
	installed := filepath.Join(client, "node_modules")
	packages, err := os.ReadDir(installed)
	require.NoError(t, err, "npm --prefix client/js ci")

	dir := t.TempDir()
	modules := filepath.Join(dir, "node_modules")
	ours := filepath.Join(modules, "@go-orpc", "durable-iterator-client")
	require.NoError(t, os.MkdirAll(ours, 0o700))
	for _, p := range packages {
		require.NoError(t, os.Symlink(filepath.Join(installed, p.Name()), filepath.Join(modules, p.Name())))
	}
	require.NoError(t, os.Symlink(filepath.Join(client, "package.json"), filepath.Join(ours, "package.json")))
	node(t, dir, "node_modules/typescript/bin/tsc", "-p", client, "--outDir", filepath.Join(ours, "dist"))
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata")))
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../examples/contract/web")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600))
	return dir
}

// node runs a script and returns its output.
func node(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "node %s:\n%s", args, out)
	return string(out)
}

func TestTypeScriptAcceptsModules(t *testing.T) {
	t.Parallel()
	dir := workspace(t)
	node(t, dir, "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit")
}

func TestModulesAreFormatted(t *testing.T) {
	t.Parallel()
	prettier, err := filepath.Abs("../../client/js/node_modules/prettier/bin/prettier.cjs")
	require.NoError(t, err)
	node(t, ".", prettier, "--check", "--no-config", "--no-semi", "--single-quote", "testdata/kinds.ts", "testdata/plain.ts", "testdata/nonil.ts", "testdata/long.ts",
		"testdata/original.ts")
}
