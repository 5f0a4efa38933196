package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// shown are the packages whose exported functions and methods must all have an example.
var shown = []string{
	"client", "durableiterator", "durableobject", "durableobject/eventlog", "durableobject/eventlog/filelog",
	"rpc", "rpc/websocket", "token",
}

// unshown are methods that programs do not call by name.
var unshown = []string{
	"Error", "Unwrap", "String", "GoString", "LogValue", "MarshalJSON", "UnmarshalJSON",
	"InitHandler", "InitLink", "ServeHTTP",
}

// checkExamples reports the exported functions and methods that no example of their
// package uses.
func checkExamples(files fs.FS) ([]fault, error) {
	var declared []fault // with the name in place of the words
	used := map[string]map[string]bool{}
	err := walk(files, func(name string, source []byte) error {
		dir := path.Dir(name)
		if !slices.Contains(shown, dir) {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		isTest, isExample := strings.HasSuffix(name, "_test.go"), strings.HasPrefix(path.Base(name), "example")
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			switch {
			case !ok:
			case isTest:
				if used[dir] == nil {
					used[dir] = map[string]bool{}
				}
				noteUses(f, isExample, used[dir])
			case isShown(f):
				declared = append(declared, fault{name, set.Position(f.Pos()).Line, f.Name.Name})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var faults []fault
	for _, f := range declared {
		if !used[path.Dir(f.file)][f.words] {
			f.words = fmt.Sprintf("no example of the package uses %s", f.words)
			faults = append(faults, f)
		}
	}
	return faults, nil
}

// isShown reports whether an example must use a function.
func isShown(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() || f.Recv == nil {
		return f.Name.IsExported()
	}
	receiver := f.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
			continue
		case *ast.IndexExpr:
			receiver = t.X
			continue
		case *ast.IndexListExpr:
			receiver = t.X
			continue
		case *ast.Ident:
			return t.IsExported() && !slices.Contains(unshown, f.Name.Name)
		}
		return false
	}
}

// noteUses records the names that an example uses, and the one that it is named after. In a
// file of examples the methods of declared types count too, for example hooks of objects.
func noteUses(f *ast.FuncDecl, inExamples bool, used map[string]bool) {
	name, isExample := strings.CutPrefix(f.Name.Name, "Example")
	switch {
	case isExample:
		for part := range strings.SplitSeq(name, "_") {
			used[part] = true
		}
	case inExamples && f.Recv != nil:
		used[f.Name.Name] = true
	default:
		return
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			used[id.Name] = true
		}
		return true
	})
}
