package filelog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// lockFile opens the file so that nobody else may, which ends with the process
// however it ends. A shared lock lets other shared ones in.
func lockFile(path string, shared bool) (io.Closer, error) {
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
	case shared && errors.Is(err, fs.ErrNotExist):
		return io.NopCloser(nil), nil // never opened by a log: nobody can hold it
	case errors.Is(err, sharingViolation):
		return nil, ErrLocked
	case err != nil:
		return nil, os.NewSyscallError("CreateFile", err)
	}
	return os.NewFile(uintptr(h), path), nil
}
