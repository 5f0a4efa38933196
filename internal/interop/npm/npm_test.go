package npm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Installed packages stay if a second installation ends later. Packages of an older lock
// file are replaced.
func TestMove(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		present, want string // the lock file whose packages are there, and are there afterwards
	}{
		"not installed":              {"", "new, ours"},
		"a program that never ended": {"half", "new, ours"},
		"older packages":             {"old", "new, ours"},
		"another one was first":      {"new", "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, temp := t.TempDir(), t.TempDir()
			if test.present != "" {
				write(t, dir, test.present)
			}
			write(t, temp, "new, ours")
			require.NoError(t, move(dir, temp, []byte("new")))
			got, err := os.ReadFile(filepath.Join(dir, packages, installed))
			require.NoError(t, err)
			require.Equal(t, test.want, string(got))
		})
	}
}

func write(t *testing.T, dir, lock string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(dir, packages), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, packages, installed), []byte(lock), 0o600))
}
