package typescript

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// sourcePackage has the parts of the source of a package that the compiled program does not
// have.
type sourcePackage struct {
	comments  map[string]comment    // of types, and of fields as "Type.Field"
	contracts map[string]comment    // by dotted path
	constants func() []*types.Const // in the order of the source
	values    map[string]comment    // the comments of constants
	imports   []string
}

// namedConstant is a constant of a type.
type namedConstant struct {
	name    string
	value   any
	comment comment
}

func readPackage(set *token.FileSet, files []*ast.File) *sourcePackage {
	p := &sourcePackage{
		comments: map[string]comment{}, contracts: map[string]comment{}, values: map[string]comment{},
	}
	for _, file := range files {
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value) // the file was parsed
			p.imports = append(p.imports, imported)
		}
	}
	groups := map[string]string{} // paths of groups of methods, by the names of their variables
	eachSpec(files, func(spec ast.Spec, _ *ast.CommentGroup) { readGroup(spec, groups) })
	eachSpec(files, func(spec ast.Spec, doc *ast.CommentGroup) {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			p.readType(spec, doc)
		case *ast.ValueSpec:
			p.readValue(spec, doc, groups)
		}
	})
	p.constants = sync.OnceValue(func() []*types.Const { return readConstants(set, files) })
	return p
}

// eachSpec calls fn for the declarations of files, with their comments.
func eachSpec(files []*ast.File, fn func(spec ast.Spec, doc *ast.CommentGroup)) {
	for _, file := range files {
		for _, declared := range file.Decls {
			list, ok := declared.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range list.Specs {
				var doc *ast.CommentGroup
				if !list.Lparen.IsValid() {
					doc = list.Doc
				}
				fn(spec, doc)
			}
		}
	}
}

// firstComment returns the first of the comments that is not nil.
func firstComment(groups ...*ast.CommentGroup) comment {
	for _, group := range groups {
		if c := newComment(group.Text()); c != nil {
			return c
		}
	}
	return nil
}

func (p *sourcePackage) readType(spec *ast.TypeSpec, doc *ast.CommentGroup) {
	p.comments[spec.Name.Name] = firstComment(spec.Doc, doc, spec.Comment)
	if t, ok := spec.Type.(*ast.StructType); ok {
		for _, field := range t.Fields.List {
			for _, name := range field.Names {
				p.comments[spec.Name.Name+"."+name.Name] = firstComment(field.Doc, field.Comment)
			}
		}
	}
}

// readGroup reads declarations of groups, such as: var Users = rpc.Group("users").
func readGroup(spec ast.Spec, groups map[string]string) {
	eachCall(spec, func(variable, function string, call *ast.CallExpr) {
		if name, ok := stringAt(call, 0); ok && function == "Group" {
			groups[variable] = name
		}
	})
}

// readValue reads the comment of a contract, a declared error, or constants.
func (p *sourcePackage) readValue(spec *ast.ValueSpec, doc *ast.CommentGroup, groups map[string]string) {
	c := firstComment(spec.Doc, doc, spec.Comment)
	for _, name := range spec.Names {
		p.values[name.Name] = c
	}
	eachCall(spec, func(variable, function string, call *ast.CallExpr) {
		if c != nil && !strings.HasPrefix(c[0]+" ", variable+" ") {
			return // it describes several variables, or something else
		}
		switch first, _ := stringAt(call, 0); function {
		case "Define", "DefineEvents":
			p.contracts[first] = c
		case "DefineIn", "DefineEventsIn":
			if group, ok := call.Args[0].(*ast.Ident); ok {
				last, _ := stringAt(call, 1)
				p.contracts[groups[group.Name]+"."+last] = c
			}
		}
	})
}

// eachCall calls fn for the variables of a declaration that are the result of a call.
func eachCall(spec ast.Spec, fn func(variable, function string, call *ast.CallExpr)) {
	value, ok := spec.(*ast.ValueSpec)
	if !ok || len(value.Names) != len(value.Values) {
		return
	}
	for i, v := range value.Values {
		if call, ok := v.(*ast.CallExpr); ok && len(call.Args) > 0 {
			fn(value.Names[i].Name, calledName(call.Fun), call)
		}
	}
}

// calledName returns the name of a function, without its package and type arguments.
func calledName(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.IndexExpr:
		return calledName(fun.X)
	case *ast.IndexListExpr:
		return calledName(fun.X)
	case *ast.SelectorExpr:
		return fun.Sel.Name
	case *ast.Ident:
		return fun.Name
	}
	return ""
}

func stringAt(call *ast.CallExpr, i int) (string, bool) {
	if i >= len(call.Args) {
		return "", false
	}
	literal, ok := call.Args[i].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}

// readConstants returns the constants of a package. It does not load imports, so constants
// that depend on other packages stay unknown.
func readConstants(set *token.FileSet, files []*ast.File) []*types.Const {
	byPackage := map[string][]*ast.File{}
	for _, file := range files {
		byPackage[file.Name.Name] = append(byPackage[file.Name.Name], file)
	}
	var constants []*types.Const
	for _, name := range slices.Sorted(maps.Keys(byPackage)) { // a test may be in a separate package
		config := types.Config{Error: func(error) {}, IgnoreFuncBodies: true}
		checked, _ := config.Check(name, set, byPackage[name], nil) // errors are ignored
		for _, file := range byPackage[name] {
			for _, declared := range constantNames(file) {
				if c, ok := checked.Scope().Lookup(declared).(*types.Const); ok {
					constants = append(constants, c)
				}
			}
		}
	}
	return constants
}

// constantNames returns the names of the constants of a file, in order.
func constantNames(file *ast.File) []string {
	var names []string
	for _, declared := range file.Decls {
		list, ok := declared.(*ast.GenDecl)
		if !ok || list.Tok != token.CONST {
			continue
		}
		for _, spec := range list.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names { //nolint:forcetypeassert // as the grammar has it
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// constantsOf returns the constants of a type. A constant with several names is returned
// several times.
func (p *sourcePackage) constantsOf(t reflect.Type) []namedConstant {
	if p.constants == nil {
		return nil // there is no source
	}
	var list []namedConstant
	for _, c := range p.constants() {
		named, ok := c.Type().(*types.Named)
		if !ok || named.Obj().Name() != t.Name() || c.Name() == "_" {
			continue
		}
		if value, ok := goValue(t, c.Val()); ok {
			list = append(list, namedConstant{strings.TrimPrefix(c.Name(), t.Name()), value, p.values[c.Name()]})
		}
	}
	return list
}

// goValue returns a constant as a value of a type.
func goValue(t reflect.Type, from constant.Value) (any, bool) {
	v := reflect.New(t).Elem()
	switch kind := from.Kind(); {
	case kind == constant.Bool && t.Kind() == reflect.Bool:
		v.SetBool(constant.BoolVal(from))
	case kind == constant.String && t.Kind() == reflect.String:
		v.SetString(constant.StringVal(from))
	case v.CanInt():
		n, _ := constant.Int64Val(constant.ToInt(from))
		v.SetInt(n)
	case v.CanUint():
		n, _ := constant.Uint64Val(constant.ToInt(from))
		v.SetUint(n)
	case v.CanFloat():
		f, _ := constant.Float64Val(constant.ToFloat(from))
		v.SetFloat(f)
	default:
		return nil, false
	}
	return v.Interface(), true
}
