package typescript

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write writes a module. Its text depends on the options and the source only. The error
// names the contract and the type that cannot be written; nothing is written then.
func Write(w io.Writer, o *Options) error {
	module, err := generate(o)
	if err == nil {
		_, err = io.WriteString(w, module)
	}
	if err != nil {
		return fmt.Errorf("typescript: %w", err)
	}
	return nil
}

// WriteFile writes a module to a file, as [Write] does. The file is made or replaced as a
// whole, and only if its content changes, so that nothing that watches it sees half a module
// or a change that is none.
func WriteFile(file string, o *Options) error {
	module, err := generate(o)
	if err == nil {
		err = replace(file, module)
	}
	if err != nil {
		return fmt.Errorf("typescript: write %s: %w", file, err)
	}
	return nil
}

// generate returns the text of a module.
func generate(o *Options) (string, error) {
	m, err := newModule(o)
	if err != nil {
		return "", err
	}
	return m.format()
}

// replace makes content the content of a file.
func replace(file, content string) error {
	if old, err := os.ReadFile(file); err == nil && string(old) == content {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(content)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
