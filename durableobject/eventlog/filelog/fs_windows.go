package filelog

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens the file so that no other process can open it until this one closes it or
// exits. A shared lock permits other shared ones. If it is shared and no log has ever locked
// the directory, the error wraps fs.ErrNotExist.
func lockFile(path string, shared bool) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	access, share, create := uint32(syscall.GENERIC_READ|syscall.GENERIC_WRITE), uint32(0), uint32(syscall.OPEN_ALWAYS)
	if shared {
		access, share, create = syscall.GENERIC_READ, syscall.FILE_SHARE_READ, syscall.OPEN_EXISTING
	}
	h, err := syscall.CreateFile(name, access, share, nil, create, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	const sharingViolation = syscall.Errno(32)
	switch {
	case errors.Is(err, sharingViolation):
		return nil, ErrLocked
	case err != nil:
		return nil, os.NewSyscallError("CreateFile", err)
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDirectory does nothing: directories cannot be synced on Windows; the journal of the
// file system makes names durable.
func syncDirectory(string) error { return nil }

// isFull reports whether err means that the disk is full or a quota is used up.
func isFull(err error) bool {
	const handleDiskFull, diskFull, diskQuotaExceeded = syscall.Errno(39), syscall.Errno(112), syscall.Errno(1295)
	return errors.Is(err, handleDiskFull) || errors.Is(err, diskFull) || errors.Is(err, diskQuotaExceeded)
}
