// Command house checks rules that no linter knows: phrases that must not be in comments and
// messages of Go files, in pages, and in sources in TypeScript; names that must not be declared;
// imports and references between files that contradict the tables of docs/architecture.md; and
// functions without an example that go test runs.
//
//	go run ./internal/house .
//
// It prints a line for each fault. The exit status is 1 if there are any, and 2 if a file
// cannot be read.
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

// run prints the faults of the module in dir to out, and returns the exit status.
func run(dir string, out, complaints io.Writer) int {
	faults, err := search(dir)
	if err != nil {
		_, _ = fmt.Fprintln(complaints, err)
		return 2
	}
	for _, f := range faults {
		_, _ = fmt.Fprintln(out, f)
	}
	return min(len(faults), 1)
}

// search returns the faults of all files, in the order of their names, and then those of
// the imports, the references between files and the examples.
func search(dir string) ([]fault, error) {
	var all []fault
	files := os.DirFS(dir)
	err := walkAll(files, func(name string, source []byte) error {
		if filepath.Ext(name) != ".go" {
			all = append(all, checkPage(name, source)...)
			return nil
		}
		faults, err := checkWords(name, source)
		all = append(all, faults...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, check := range []func(fs.FS) ([]fault, error){
		checkImports, checkFiles,
		func(files fs.FS) ([]fault, error) { return checkExamples(dir, files) },
	} {
		faults, err := check(files)
		if err != nil {
			return nil, err
		}
		all = append(all, faults...)
	}
	return all, nil
}

// walk calls visit with each Go file, except those in testdata.
func walk(files fs.FS, visit func(name string, source []byte) error) error {
	return walkAll(files, func(name string, source []byte) error {
		if filepath.Ext(name) != ".go" {
			return nil
		}
		return visit(name, source)
	})
}

// walkAll calls visit with each Go file, page and source in TypeScript, except those in
// testdata.
func walkAll(files fs.FS, visit func(name string, source []byte) error) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if slices.Contains([]string{"testdata", "node_modules", "dist", ".git"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		case !slices.Contains([]string{".go", ".md", ".ts"}, filepath.Ext(name)):
			return nil
		}
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return visit(name, source)
	})
}

// fault is a position in a file and a description of what is wrong there.
type fault struct {
	file  string
	line  int
	words string
}

func (f fault) String() string {
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, strings.Join(strings.Fields(f.words), " "))
}
