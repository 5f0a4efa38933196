//go:build !unix && !windows

package filelog

// syncDirectory does nothing: directories cannot be synced on this system.
func syncDirectory(string) error { return nil }

// isFull returns false: the error for a full disk is not known on this system.
func isFull(error) bool { return false }
