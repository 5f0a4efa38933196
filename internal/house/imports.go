package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// architecture is the page with the table of packages, whose rows list what each may
// import.
const architecture = "docs/architecture.md"

// free matches packages that are not in the table. Programs are not in it either.
var free = regexp.MustCompile(`^(docs|examples|internal/(chaos|child|chromium|crashtest|house|interop|leak|memhttp))(/|$)`)

var (
	module   = regexp.MustCompile(`(?m)^module (\S+)$`)
	tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ((?:`[^`]+`(?:, )?)*) ?\\|$")
)

// edge is an import of a package by another one. Both are named by their directories.
type edge struct{ from, to string }

// checkImports compares the imports between the packages of the module with the table of
// the architecture. The row of a package must list all of its imports, and be above the
// rows of these.
func checkImports(files fs.FS) ([]fault, error) {
	rows, drawn, err := readTable(files)
	if err != nil {
		return nil, err
	}
	found, err := readImports(files)
	if err != nil {
		return nil, err
	}
	var faults []fault
	report := func(format string, args ...any) {
		faults = append(faults, fault{architecture, rows[""], fmt.Sprintf(format, args...)})
	}
	for _, e := range sorted(found) {
		line, ok := rows[e.from]
		switch {
		case !ok:
			report("%s has no row", e.from)
		case e.to == "": // the package imports nothing of the module
		case !drawn[e]:
			report("%s imports %s, which its row does not list", e.from, e.to)
		case rows[e.to] <= line:
			report("%s imports %s, whose row is not below", e.from, e.to)
		}
	}
	for _, e := range sorted(drawn) {
		if !found[e] {
			report("%s does not import %s", e.from, e.to)
		}
	}
	return faults, nil
}

// readTable returns the line number of each package's row, with that of the first row also
// under "", and the imports that the rows list.
func readTable(files fs.FS) (rows map[string]int, drawn map[edge]bool, err error) {
	page, err := fs.ReadFile(files, architecture)
	if err != nil {
		return nil, nil, err
	}
	_, table, _ := strings.Cut(string(page), "\n## Imports\n")
	table, _, _ = strings.Cut(table, "\n## ")
	offset := strings.Index(string(page), table)
	rows, drawn = map[string]int{}, map[edge]bool{}
	for _, at := range tableRow.FindAllStringSubmatchIndex(table, -1) {
		from := table[at[2]:at[3]]
		rows[from] = 1 + strings.Count(string(page[:offset+at[0]]), "\n")
		if len(rows) == 1 {
			rows[""] = rows[from]
		}
		for to := range strings.SplitSeq(strings.ReplaceAll(table[at[4]:at[5]], "`", ""), ", ") {
			if to != "" {
				drawn[edge{from, to}] = true
			}
		}
	}
	return rows, drawn, nil
}

// readImports returns the imports between the packages that must be in the table, and for
// each of these packages an edge to "".
func readImports(files fs.FS) (map[edge]bool, error) {
	file, err := fs.ReadFile(files, "go.mod")
	if err != nil {
		return nil, err
	}
	name := module.FindSubmatch(file)
	if name == nil {
		return nil, fmt.Errorf("go.mod: %w: no module", fs.ErrInvalid)
	}
	prefix := string(name[1]) + "/"
	found := map[edge]bool{}
	err = walk(files, func(name string, source []byte) error {
		from := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || free.MatchString(from) || ofOther(files, from) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil || parsed.Name.Name == "main" {
			return err
		}
		found[edge{from, ""}] = true
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ok := strings.CutPrefix(imported, prefix); ok {
				found[edge{from, to}] = true
			}
		}
		return nil
	})
	return found, err
}

// ofOther reports whether a directory is part of a nested module.
func ofOther(files fs.FS, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := fs.Stat(files, path.Join(dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

func sorted(edges map[edge]bool) []edge {
	return slices.SortedFunc(maps.Keys(edges), func(a, b edge) int {
		if c := strings.Compare(a.from, b.from); c != 0 {
			return c
		}
		return strings.Compare(a.to, b.to)
	})
}
