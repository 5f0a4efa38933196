//go:build unix

package filelog

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func syncDirectory(path string) error {
	f, err := os.Open(path)
	if err != nil { // the process may have too many files open
		return fmt.Errorf("%w: %w", errNotTried, err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// isFull reports whether err is for the lack of space, which may be there later.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
