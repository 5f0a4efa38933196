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
// package uses. Only an example with an output counts, because go test does not run others.
func checkExamples(dir string, files fs.FS) ([]fault, error) {
	declared := map[string][]fault{} // by directory, with the name in place of the words
	err := walk(files, func(name string, source []byte) error {
		in := path.Dir(name)
		if !slices.Contains(shown, in) || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && isShown(f) {
				declared[in] = append(declared[in], fault{name, set.Position(f.Pos()).Line, declaredName(f)})
			}
		}
		return nil
	})
	if err != nil || len(declared) == 0 {
		return nil, err
	}
	used, err := usedByExamples(dir, slices.DeleteFunc(slices.Clone(shown), func(in string) bool {
		return declared[in] == nil
	}))
	if err != nil {
		return nil, err
	}
	var faults []fault
	for _, in := range shown {
		for _, f := range declared[in] {
			if !used[in][f.words] {
				f.words = fmt.Sprintf("no example of the package uses %s", f.words)
				faults = append(faults, f)
			}
		}
	}
	return faults, nil
}

// isShown reports whether an example must use a function.
func isShown(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() || f.Recv == nil {
		return f.Name.IsExported()
	}
	return ast.IsExported(receiver(f)) && !slices.Contains(unshown, f.Name.Name)
}

// declaredName returns the name of a function, or "T.M" for a method M of a type T.
func declaredName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	return receiver(f) + "." + f.Name.Name
}

// receiver returns the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	expr := f.Recv.List[0].Type
	for {
		switch t := expr.(type) {
		case *ast.StarExpr:
			expr = t.X
		case *ast.IndexExpr:
			expr = t.X
		case *ast.IndexListExpr:
			expr = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}
