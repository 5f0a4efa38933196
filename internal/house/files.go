package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	fileTable = regexp.MustCompile(`(?m)^## The files of (\S+)$`)
	fileRow   = regexp.MustCompile("(?m)^\\| ((?:`\\w+\\.go`(?:, )?)+) \\|")
)

// checkFiles compares the references between the files of packages with the tables of the
// architecture. A file may refer to those in its own row and in the rows below it.
func checkFiles(files fs.FS) ([]fault, error) {
	page, err := fs.ReadFile(files, architecture)
	if err != nil {
		return nil, err
	}
	var faults []fault
	for _, at := range fileTable.FindAllSubmatchIndex(page, -1) {
		dir := string(page[at[2]:at[3]])
		table, _, _ := strings.Cut(string(page[at[1]:]), "\n## ")
		words, err := compareFiles(files, dir, readFileTable(table))
		if err != nil {
			return nil, err
		}
		line := 1 + strings.Count(string(page[:at[0]]), "\n")
		for _, w := range words {
			faults = append(faults, fault{architecture, line, w})
		}
	}
	return faults, nil
}

// readFileTable returns the number of each file's row.
func readFileTable(table string) map[string]int {
	rows := map[string]int{}
	for i, row := range fileRow.FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(strings.ReplaceAll(row[1], "`", ""), ", ") {
			rows[name] = i
		}
	}
	return rows
}

func compareFiles(files fs.FS, dir string, rows map[string]int) (words []string, err error) {
	found, names, err := readReferences(files, dir)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if !slices.Contains(names, name) {
			words = append(words, fmt.Sprintf("%s has no file %s", dir, name))
		}
	}
	for _, name := range names {
		if _, ok := rows[name]; !ok {
			words = append(words, fmt.Sprintf("%s of %s has no row", name, dir))
		}
	}
	for _, e := range sorted(found) {
		from, known := rows[e.from]
		if to, ok := rows[e.to]; known && ok && to < from {
			words = append(words, fmt.Sprintf("%s of %s refers to %s, whose row is above", e.from, dir, e.to))
		}
	}
	return words, nil
}

// readReferences returns the references between the files of a package, except its tests and
// doc.go, and the names of these files. It does not read the imports of the package, so it misses
// references to methods and fields of values that come from generic functions of other packages.
func readReferences(files fs.FS, dir string) (found map[edge]bool, names []string, err error) {
	matches, err := fs.Glob(files, path.Join(dir, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, match := range matches {
		name := path.Base(match)
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" {
			continue
		}
		source, err := fs.ReadFile(files, match)
		if err != nil {
			return nil, nil, err
		}
		file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		parsed, names = append(parsed, file), append(names, name)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}} // continue after errors
	checked, _ := conf.Check(dir, set, parsed, info)
	found = map[edge]bool{}
	for use, object := range info.Uses {
		if object.Pkg() != checked || !object.Pos().IsValid() {
			continue
		}
		if e := (edge{set.File(use.Pos()).Name(), set.File(object.Pos()).Name()}); e.from != e.to {
			found[e] = true
		}
	}
	return found, names, nil
}

// noImports is an importer that finds no package.
type noImports struct{}

func (noImports) Import(name string) (*types.Package, error) {
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}
