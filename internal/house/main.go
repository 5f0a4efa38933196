// Command house prints the places in Go files whose words docs and comments must
// not have. It exits with status 1 if there are any, and with 2 if it cannot read a
// file. Its argument is the directory to search, with those below it.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: house directory")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Stdout, os.Stderr))
}

// run prints the faults below dir to out, and returns the exit status.
func run(dir string, out, complaints io.Writer) int {
	faults, err := search(os.DirFS(dir))
	if err != nil {
		fmt.Fprintln(complaints, err)
		return 2
	}
	for _, f := range faults {
		fmt.Fprintln(out, f)
	}
	return min(len(faults), 1)
}

// search returns the faults of all Go files, in the order of their names.
func search(files fs.FS) ([]fault, error) {
	var all []fault
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if slices.Contains([]string{"testdata", "node_modules", ".git"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		case filepath.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		faults, err := check(name, source)
		all = append(all, faults...)
		return err
	})
	return all, err
}

// fault is a place in a file, and what is wrong with it.
type fault struct {
	file  string
	line  int
	words string
}

func (f fault) String() string {
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, strings.Join(strings.Fields(f.words), " "))
}
