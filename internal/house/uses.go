package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// usedByExamples returns which functions and methods of each of some packages its examples
// use. The packages are named by their directories in dir, and what they declare as
// declaredName does.
func usedByExamples(dir string, packages []string) (map[string]map[string]bool, error) {
	all, err := list(dir, packages)
	if err != nil {
		return nil, err
	}
	used := map[string]map[string]bool{}
	for _, p := range all {
		if p.ForTest == "" || !strings.HasPrefix(p.ImportPath, p.ForTest+"_test ") {
			continue
		}
		if used[strings.TrimPrefix(p.ForTest, p.Module.Path+"/")], err = p.uses(all); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// listed is a package as go list describes it. The import path of one that is compiled for
// the test of another has the other's name at its end, as in "m/rpc_test [m/rpc.test]".
type listed struct {
	ImportPath string            `json:"ImportPath"`
	Dir        string            `json:"Dir"`
	Export     string            `json:"Export"`    // a file with the types of the package
	ForTest    string            `json:"ForTest"`   // the package that this one is compiled for the test of
	ImportMap  map[string]string `json:"ImportMap"` // import paths that differ from those in the source
	GoFiles    []string          `json:"GoFiles"`
	Module     listedModule      `json:"Module"`
}

type listedModule struct {
	Path string `json:"Path"`
}

// list returns packages with their tests, and all that these import.
func list(dir string, packages []string) (map[string]listed, error) {
	args := []string{"list", "-test", "-deps", "-export", "-json=ImportPath,Dir,Export,ForTest,ImportMap,GoFiles,Module"}
	for _, p := range packages {
		args = append(args, "./"+p)
	}
	var out, complaints bytes.Buffer
	command := exec.CommandContext(context.Background(), "go", args...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &complaints
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, complaints.Bytes())
	}
	all := map[string]listed{}
	for decoder := json.NewDecoder(&out); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all[p.ImportPath] = p
	}
}

// uses returns what the examples of a test package use of the package that it tests.
func (p listed) uses(all map[string]listed) (map[string]bool, error) {
	var (
		set             = token.NewFileSet()
		files, examples []*ast.File
	)
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		if strings.HasPrefix(name, "example") {
			examples = append(examples, file)
		}
	}
	imports := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) {
		if mapped, ok := p.ImportMap[path]; ok {
			path = mapped
		}
		return os.Open(all[path].Export)
	})
	r := reach{
		tested: p.ForTest, used: map[string]bool{}, seen: map[types.Object]bool{},
		info: types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}},
	}
	config := types.Config{Importer: imports}
	checked, err := config.Check(p.ImportPath, set, files, &r.info)
	if err != nil {
		return nil, err
	}
	r.declare(examples)
	for _, e := range doc.Examples(examples...) {
		if e.Output == "" && !e.EmptyOutput {
			continue
		}
		name, method, _ := strings.Cut(e.Name, "_")
		method, _, _ = strings.Cut(method, "_")
		r.used[name], r.used[name+"."+method] = true, true
		r.object(checked.Scope().Lookup("Example" + e.Name))
	}
	return r.used, nil
}

// reach finds what examples use, in their bodies and in those declarations of the files of
// examples that they need.
type reach struct {
	tested  string // the package whose functions are found
	used    map[string]bool
	seen    map[types.Object]bool
	info    types.Info
	bodies  map[types.Object]ast.Node
	methods map[types.Object][]*ast.FuncDecl // by their types
}

// declare notes the declarations in the files of examples.
func (r *reach) declare(files []*ast.File) {
	r.bodies, r.methods = map[types.Object]ast.Node{}, map[types.Object][]*ast.FuncDecl{}
	for _, file := range files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				r.bodies[r.info.Defs[d.Name]] = d
				if f, ok := r.info.Defs[d.Name].(*types.Func); ok && d.Recv != nil {
					if t := named(f.Signature().Recv().Type()); t != nil {
						r.methods[t.Obj()] = append(r.methods[t.Obj()], d)
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					for _, name := range declares(spec) {
						r.bodies[r.info.Defs[name]] = spec
					}
				}
			}
		}
	}
}

// from notes what is used from a node of the syntax.
func (r *reach) from(node ast.Node) {
	ast.Inspect(node, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && r.info.Uses[id] != nil {
			r.object(r.info.Uses[id])
		}
		return true
	})
}

func (r *reach) object(o types.Object) {
	if f, ok := o.(*types.Func); ok {
		o = f.Origin()
		r.function(f.Origin())
	}
	if r.seen[o] {
		return
	}
	r.seen[o] = true
	if body := r.bodies[o]; body != nil {
		r.from(body)
	}
	for _, m := range r.methods[o] {
		r.overrides(o.Type(), m.Name.Name)
		r.from(m)
	}
}

// function notes a function if it is of the tested package.
func (r *reach) function(f *types.Func) {
	if f.Pkg() == nil || f.Pkg().Path() != r.tested {
		return
	}
	name := f.Name()
	if recv := f.Signature().Recv(); recv != nil {
		if t := named(recv.Type()); t != nil {
			name = t.Obj().Name() + "." + name
		}
	}
	r.used[name] = true
}

// overrides notes the method of an embedded type that a method of t replaces, for example
// a hook of an object.
func (r *reach) overrides(t types.Type, method string) {
	fields, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for field := range fields.Fields() {
		if !field.Embedded() {
			continue
		}
		o, _, _ := types.LookupFieldOrMethod(field.Type(), true, field.Pkg(), method)
		if f, ok := o.(*types.Func); ok {
			r.function(f.Origin())
		}
	}
}

// named returns the declared type that t is, or is a pointer to, and nil for others.
func named(t types.Type) *types.Named {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, _ := t.(*types.Named)
	return n
}
