//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelog

import "os"

// lockFile opens the file without locking it: this system has no locks that are released
// when the process exits, and a lock that survives a crash would keep the log locked. If
// it is shared and no log has ever locked the directory, the error wraps fs.ErrNotExist.
func lockFile(path string, shared bool) (*os.File, error) {
	if shared {
		return os.Open(path)
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
