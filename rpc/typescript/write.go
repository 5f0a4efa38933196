package typescript

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write generates a module and writes it to w. The text depends only on the options and the
// source. If a contract or a type cannot be written, Write returns an error that names it
// and writes nothing.
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

// WriteFile generates a module and writes it to a file, as [Write] does. The file is
// created or replaced atomically, and only if its content changes, so that programs that
// watch it see neither half a module nor a change without a difference.
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

// replace replaces the content of a file atomically.
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
