package filelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// directory is the interface to the file system: one flat directory of files. Tests use
// an implementation that simulates a loss of power or a full disk.
type directory interface {
	// List returns the names of all files.
	List() ([]string, error)
	// Open opens a file to read.
	Open(name string) (file, error)
	// Edit opens a file to read and write.
	Edit(name string) (file, error)
	// Create creates a file, or truncates an existing one, to read and write.
	Create(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	// Sync makes created, renamed and removed names durable. After an error that wraps
	// errNotTried it can be called again, and may then succeed.
	Sync() error
	// Lock locks the directory until the closer is closed. A shared lock excludes only
	// writers, and changes nothing on disk.
	Lock(shared bool) (io.Closer, error)
	// Holds reports whether f, which Create or Lock returned, is still in the directory.
	// It returns false if the file or the directory was removed, renamed or replaced.
	Holds(f io.Closer) bool
}

// file is an open file. Writing grows it as needed.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the bytes and the size durable, but not the name.
	Sync() error
}

// errNotTried means that names could not be synced, and that nothing was tried: it is as if
// they had just been changed.
var errNotTried = errors.New("not synced")

const lockName = "LOCK"

// osDirectory is a directory of the operating system.
type osDirectory string

// directoryAt returns the directory at path, which does not have to exist.
func directoryAt(path string) (osDirectory, error) {
	if path == "" {
		return "", fmt.Errorf("empty path: %w", fs.ErrInvalid)
	}
	path, err := filepath.Abs(path)
	return osDirectory(path), err
}

// makeDirectory creates path and its missing parents, durably.
func makeDirectory(path string) (osDirectory, error) {
	dir, err := directoryAt(path)
	if err != nil {
		return "", err
	}
	path = string(dir)
	parent := path
	for {
		if _, err := os.Stat(parent); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parent = filepath.Dir(parent)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	for made := path; made != parent; {
		made = filepath.Dir(made)
		if err := syncDirectory(made); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (d osDirectory) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d osDirectory) path(name string) string { return filepath.Join(string(d), name) }

func (d osDirectory) Open(name string) (file, error) {
	return openOS(d.path(name), os.O_RDONLY)
}

func (d osDirectory) Edit(name string) (file, error) {
	return openOS(d.path(name), os.O_RDWR)
}

func (d osDirectory) Create(name string) (file, error) {
	return openOS(d.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func openOS(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return newOSFile(f)
}

func (d osDirectory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d osDirectory) Remove(name string) error     { return os.Remove(d.path(name)) }
func (d osDirectory) Sync() error                  { return syncDirectory(string(d)) }

func (d osDirectory) Lock(shared bool) (io.Closer, error) {
	f, err := lockFile(d.path(lockName), shared)
	if shared && errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil // never opened by a log, so no process can hold it
	}
	if err != nil {
		return nil, err
	}
	return newOSFile(f)
}

func (d osDirectory) Holds(f io.Closer) bool {
	held, ok := f.(osFile)
	if !ok {
		return true
	}
	info, err := os.Lstat(held.Name())
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
	}
	return os.SameFile(info, held.info)
}

// osFile is a file of the operating system.
type osFile struct {
	*os.File
	info fs.FileInfo // distinguishes it from another file of the same name
}

func newOSFile(f *os.File) (osFile, error) {
	info, err := f.Stat()
	if err != nil {
		return osFile{}, errors.Join(err, f.Close())
	}
	return osFile{f, info}, nil
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return syncData(f.File) }
