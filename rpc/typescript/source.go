package typescript

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// source reads the parts of the source that the compiled program does not have: comments
// and the names of constants. A nil source has none.
type source struct {
	dir      string // of package main
	root     string // of the module
	module   string // the path of the module
	packages map[string]*sourcePackage
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// newSource returns the source of the module that contains a directory, or nil if dir is
// empty.
func newSource(dir string) (*source, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // nothing is known of the source
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for root := dir; ; root = filepath.Dir(root) {
		file, err := os.ReadFile(filepath.Join(root, "go.mod"))
		switch {
		case errors.Is(err, os.ErrNotExist) && filepath.Dir(root) != root:
			continue
		case err != nil:
			return nil, fmt.Errorf("source: find the go.mod of %s: %w", dir, err)
		}
		found := moduleLine.FindSubmatch(file)
		if found == nil {
			return nil, fmt.Errorf("source: %s names no module", filepath.Join(root, "go.mod"))
		}
		s := &source{dir: dir, root: root, module: string(found[1]), packages: map[string]*sourcePackage{}}
		return s, s.loadAll()
	}
}

// loadAll reads the package of the directory and those that it imports: contracts are
// declared in one of them, or in the packages of their types.
func (s *source) loadAll() error {
	p, err := s.load("main")
	if err != nil {
		return err
	}
	for _, imported := range p.imports {
		if _, err := s.load(imported); err != nil {
			return err
		}
	}
	return nil
}

// of returns the package that a type is declared in. It is empty if it has no source.
func (s *source) of(t reflect.Type) *sourcePackage {
	if s == nil {
		return &sourcePackage{}
	}
	p, err := s.load(strings.TrimSuffix(t.PkgPath(), "_test"))
	if err != nil {
		return &sourcePackage{} // the program was compiled, so what cannot be read is not its source
	}
	return p
}

// load reads a package. It returns an empty one for packages of other modules.
func (s *source) load(pkgPath string) (*sourcePackage, error) {
	if p, ok := s.packages[pkgPath]; ok {
		return p, nil
	}
	dir := s.dir
	if pkgPath != "main" {
		rest, ok := strings.CutPrefix(pkgPath+"/", s.module+"/")
		if !ok {
			return &sourcePackage{}, nil
		}
		dir = filepath.Join(s.root, filepath.FromSlash(rest))
	}
	set := token.NewFileSet()
	files, err := parse(set, dir)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	s.packages[pkgPath] = readPackage(set, files)
	return s.packages[pkgPath], nil
}

// parse parses the files of a package, and those of its tests.
func parse(set *token.FileSet, dir string) ([]*ast.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if match, err := build.Default.MatchFile(dir, name); err != nil || !match || !strings.HasSuffix(name, ".go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// typ returns the comment of a type.
func (s *source) typ(t reflect.Type) comment { return s.of(t).comments[baseName(t)] }

// field returns the comment of a field of a struct, which may be a field of an embedded
// struct.
func (s *source) field(t reflect.Type, index []int) comment {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	return s.of(t).comments[baseName(t)+"."+t.Field(index[len(index)-1]).Name]
}

// constants returns the constants of a type.
func (s *source) constants(t reflect.Type) []namedConstant {
	return s.of(t).constantsOf(t)
}

// contract returns the comment of the contract with a path in the packages that were read.
func (s *source) contract(path []string) comment {
	return s.find(func(p *sourcePackage) comment { return p.contracts[strings.Join(path, ".")] })
}

// find returns the comment that packages have. It returns nil if none has one, or if they
// differ.
func (s *source) find(in func(*sourcePackage) comment) comment {
	if s == nil {
		return nil
	}
	var found comment
	for _, p := range s.packages {
		switch c := in(p); {
		case c == nil:
		case found != nil && strings.Join(found, "\n") != strings.Join(c, "\n"):
			return nil
		default:
			found = c
		}
	}
	return found
}

// baseName returns the name of a type without its type arguments.
func baseName(t reflect.Type) string {
	base, _, _ := strings.Cut(t.Name(), "[")
	return base
}
