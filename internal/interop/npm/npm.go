// Package npm installs the packages of scripts that tests run under Node.
package npm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	packages = "node_modules"

	// installed is the lock file as it was when its packages were installed.
	installed = ".installed-lock.json"
)

// Install installs the packages of the lock file in dir, unless they are there.
//
// Several tests and programs may install into one directory at the same time. Each of them
// runs npm in a temporary directory, and the first to finish moves the packages to dir: npm
// itself would remove what another one is writing.
func Install(ctx context.Context, dir string) error {
	if err := install(ctx, dir); err != nil {
		return fmt.Errorf("npm: install: %w", err)
	}
	return nil
}

func install(ctx context.Context, dir string) (err error) {
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil || isInstalled(dir, lock) {
		return err
	}
	temp, err := os.MkdirTemp(dir, packages+"-*") // on the file system of dir: a rename must do
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(temp, name), text, 0o600); err != nil { //nolint:gosec // of this project
			return err
		}
	}
	if err := Run(ctx, temp, "ci"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, packages, installed), lock, 0o600); err != nil { //nolint:gosec // of this project
		return err
	}
	return move(dir, temp, lock)
}

// move moves the packages from temp to dir, unless they have been installed there
// meanwhile.
func move(dir, temp string, lock []byte) error {
	from, to := filepath.Join(temp, packages), filepath.Join(dir, packages)
	err := os.Rename(from, to)
	if err == nil || isInstalled(dir, lock) {
		return nil
	}
	if err := os.Rename(to, filepath.Join(temp, "older")); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// isInstalled reports whether the packages of the lock file are in dir.
func isInstalled(dir string, lock []byte) bool {
	present, err := os.ReadFile(filepath.Join(dir, packages, installed))
	return err == nil && bytes.Equal(present, lock)
}

// Run runs npm in dir. Its error contains the output of npm.
func Run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "npm", args...) //nolint:gosec // from tests
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm %s in %s: %w\n%s", args, dir, err, out)
	}
	return nil
}
