//go:build !unix

package filelog

// syncDirectory does nothing: directories cannot be synced here, names are
// made durable by the file system's own journal.
func syncDirectory(string) error { return nil }
