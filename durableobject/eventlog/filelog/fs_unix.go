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

// isFull reports whether err means that the disk is full or a quota is used up.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
