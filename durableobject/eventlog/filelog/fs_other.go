//go:build !unix && !windows

package filelog

// syncDirectory does nothing: directories cannot be synced here.
func syncDirectory(string) error { return nil }

// isFull reports whether err is for the lack of space, which may be there later. Here
// that cannot be told.
func isFull(error) bool { return false }
