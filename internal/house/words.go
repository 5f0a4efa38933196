package main

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// phrases has a regular expression in each line, for a phrase that comments and strings
// must not contain.
//
//go:embed phrases.txt
var phrases string

// refused matches the phrases as whole words, in any case, even if they span several lines
// of a comment.
var refused = regexp.MustCompile(`(?i)\b(?:` + strings.ReplaceAll(
	strings.Join(strings.Split(strings.TrimSpace(phrases), "\n"), "|"), " ", `[\s/*]+`) + `)\b`)

// names are words that must not be part of a declared name: there is a standard term for
// each.
var names = []string{"keeper", "chore", "letter", "stride"}

// checkWords returns the faults of a Go file.
func checkWords(name string, source []byte) ([]fault, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var faults []fault
	report := func(at token.Pos, words string) {
		faults = append(faults, fault{name, set.Position(at).Line, words})
	}
	prose := func(node ast.Node) {
		begin := set.Position(node.Pos()).Offset
		written := source[begin:set.Position(node.End()).Offset]
		for _, at := range refused.FindAllIndex(written, -1) {
			report(node.Pos()+token.Pos(at[0]), strings.ReplaceAll(string(written[at[0]:at[1]]), "//", ""))
		}
	}
	for _, group := range file.Comments {
		prose(group)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			prose(literal)
		}
		for _, declared := range declares(node) {
			if slices.ContainsFunc(split(declared.Name), refusedName) {
				report(declared.Pos(), declared.Name)
			}
		}
		return true
	})
	slices.SortStableFunc(faults, func(a, b fault) int { return a.line - b.line })
	return faults, nil
}

// declares returns the names that a node declares, except those of its children.
func declares(node ast.Node) []*ast.Ident {
	switch node := node.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{node.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{node.Name}
	case *ast.ValueSpec:
		return node.Names
	case *ast.Field:
		return node.Names
	case *ast.AssignStmt:
		if node.Tok == token.DEFINE {
			return identifiers(node.Lhs...)
		}
	case *ast.RangeStmt:
		if node.Tok == token.DEFINE {
			return identifiers(node.Key, node.Value)
		}
	}
	return nil
}

func identifiers(expressions ...ast.Expr) []*ast.Ident {
	var all []*ast.Ident
	for _, e := range expressions {
		if name, ok := e.(*ast.Ident); ok {
			all = append(all, name)
		}
	}
	return all
}

// refusedName reports whether names has a word, or its singular.
func refusedName(word string) bool {
	return slices.Contains(names, strings.TrimSuffix(strings.ToLower(word), "s"))
}

// split returns the words of a name in camel case.
func split(name string) []string {
	var words []string
	begin := 0
	for i, r := range name {
		if i > begin && (unicode.IsUpper(r) || r == '_') {
			words = append(words, strings.Trim(name[begin:i], "_"))
			begin = i
		}
	}
	return append(words, strings.Trim(name[begin:], "_"))
}
