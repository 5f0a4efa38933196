package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// loadCursor returns the stored event id, or an empty string if there is none.
func loadCursor(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// storeCursor replaces the file atomically: if the program or the machine stops at any
// time, the file has the old or the new cursor. An empty cursor, of a server that keeps no
// events, is not stored.
func storeCursor(file, lastEventID string) error {
	if file == "" || lastEventID == "" {
		return nil
	}
	next, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = next.WriteString(lastEventID + "\n")
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), file)
	}
	if err != nil {
		_ = os.Remove(next.Name())
	}
	return err
}
