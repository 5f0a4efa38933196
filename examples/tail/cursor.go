package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// loadCursor returns the last event id that was stored, empty if there is none.
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

// storeCursor replaces the file at once: whenever the program or the machine stops,
// the file has the old cursor or the new one. An empty one, of a server that keeps no
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
