// Package npm installs the packages of scripts that tests run under Node.
package npm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// installed is the lock file as it was when its packages were installed.
const installed = "node_modules/.installed-lock.json"

// Install installs the packages of the lock file in dir, unless they are there.
func Install(ctx context.Context, dir string) error {
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return fmt.Errorf("npm: install: %w", err)
	}
	mark := filepath.Join(dir, installed)
	if present, err := os.ReadFile(mark); err == nil && bytes.Equal(present, lock) {
		return nil
	}
	if err := Run(ctx, dir, "ci"); err != nil {
		return err
	}
	if err := os.WriteFile(mark, lock, 0o600); err != nil { //nolint:gosec // of this project
		return fmt.Errorf("npm: install: %w", err)
	}
	return nil
}

// Run runs npm in dir. Its error has what npm has printed.
func Run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "npm", args...) //nolint:gosec // from tests
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm %s in %s: %w\n%s", args, dir, err, out)
	}
	return nil
}
