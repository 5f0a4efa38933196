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

// free matches programs, and what only they use. They are not in the table.
var free = regexp.MustCompile(`^(docs|examples|internal/(bench|chaos|clusterchaos|crashtest|house|interop|stacks|tools))(/|$)`)

// never are imports that even a row of the table cannot allow. An import of a package below
// is refused as well.
var never = []edge{{"internal/fanout", "net/http"}, {"internal/fanout", "rpc"}, {"internal/fanout", "token"}}

var (
	module   = regexp.MustCompile(`(?m)^module (\S+)$`)
	tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ((?:`[^`]+`(?:, )?)*) ?\\|$")
)

// edge is an import of a package by another one. Packages of the module, and of those nested
// in it, are named by their directories.
type edge struct{ from, to string }

// imports are the imports that the files of packages have.
type imports struct {
	files    map[edge]bool // of the module's packages, and for each package that must have a row an edge to ""
	tests    map[edge]bool // of the module's packages, by tests
	standard map[edge]bool // of other packages
}

// checkImports compares the imports between packages with the table of the architecture. The
// row of a package must list all of its imports, and be above the rows of these.
func checkImports(files fs.FS) ([]fault, error) {
	rows, drawn, err := readTable(files)
	if err != nil {
		return nil, err
	}
	found, err := readImports(files, rows)
	if err != nil {
		return nil, err
	}
	var faults []fault
	report := func(format string, args ...any) {
		faults = append(faults, fault{architecture, rows[""], fmt.Sprintf(format, args...)})
	}
	for _, e := range sorted(found.files) {
		line, ok := rows[e.from]
		switch {
		case e.to == "" && !ok:
			report("%s has no row", e.from)
		case e.to == "" || !ok:
		case !drawn[e]:
			report("%s imports %s, which its row does not list", e.from, e.to)
		case rows[e.to] <= line:
			report("%s imports %s, whose row is not below", e.from, e.to)
		}
	}
	for _, e := range sorted(drawn) {
		if !found.files[e] {
			report("%s does not import %s", e.from, e.to)
		}
	}
	for _, e := range sorted(found.tests) {
		if !drawn[e] && !forTests(e) {
			report("a test of %s imports %s", e.from, e.to)
		}
	}
	for _, all := range []map[edge]bool{found.files, found.standard} {
		for _, e := range sorted(all) {
			if slices.ContainsFunc(never, func(n edge) bool { return n.from == e.from && within(e.to, n.to) }) {
				report("%s imports %s, which it must not", e.from, e.to)
			}
		}
	}
	return faults, nil
}

// forTests reports whether the tests of a package may have an import that its row does not
// list. A package in internal is tested without those that are built on it.
func forTests(e edge) bool {
	return !within(e.from, "internal") || within(e.to, "internal") || e.to == "rpc/value"
}

// within reports whether a package is dir, or below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

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

// readImports returns the imports of the packages that must be in the table.
func readImports(files fs.FS, rows map[string]int) (imports, error) {
	found := imports{map[edge]bool{}, map[edge]bool{}, map[edge]bool{}}
	file, err := fs.ReadFile(files, "go.mod")
	if err != nil {
		return found, err
	}
	name := module.FindSubmatch(file)
	if name == nil {
		return found, fmt.Errorf("go.mod: %w: no module", fs.ErrInvalid)
	}
	prefix := string(name[1]) + "/"
	err = walk(files, func(name string, source []byte) error {
		from := path.Dir(name)
		if free.MatchString(from) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil || parsed.Name.Name == "main" && rows[from] == 0 {
			return err
		}
		inModule := found.files
		if strings.HasSuffix(name, "_test.go") {
			inModule = found.tests
		} else {
			inModule[edge{from, ""}] = true
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ok := strings.CutPrefix(imported, prefix); ok {
				inModule[edge{from, to}] = true
			} else {
				found.standard[edge{from, imported}] = true
			}
		}
		return nil
	})
	return found, err
}

func sorted(edges map[edge]bool) []edge {
	return slices.SortedFunc(maps.Keys(edges), func(a, b edge) int {
		if c := strings.Compare(a.from, b.from); c != 0 {
			return c
		}
		return strings.Compare(a.to, b.to)
	})
}
