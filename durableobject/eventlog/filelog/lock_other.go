//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelog

import "os"

// lockFile opens the file and takes no lock: this system has none that ends with its
// process, and a lock that outlives a crash would keep the log locked. A shared lock of
// a directory that no log has ever locked is an error that wraps fs.ErrNotExist.
func lockFile(path string, shared bool) (*os.File, error) {
	if shared {
		return os.Open(path)
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
