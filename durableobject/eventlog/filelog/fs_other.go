//go:build !unix && !windows

package filelog

// syncDirectory does nothing: directories cannot be synced here.
func syncDirectory(string) error { return nil }

// isFull returns false: errors for the lack of space are not known here.
func isFull(error) bool { return false }
