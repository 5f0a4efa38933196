package main

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
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

// subject matches a sentence that begins with Who or What. One that ends with a question mark
// is not a fault.
var subject = regexp.MustCompile(`(?:^[\s/*]+|[.:!?|]["'\x60)*]*[\s/*]+|\n[ \t/*>-]*\n[ \t/*>-]*)((?:Who|What)\s[^.:?!]*)`)

// names are words that must not be part of a declared name: there is a standard term for
// each.
var names = []string{"keeper", "chore", "letter", "stride"}

// words finds the faults of a Go file.
type words struct {
	set      *token.FileSet
	source   []byte
	name     string
	faults   []fault
	declared map[string]bool
}

// checkWords returns the faults of a Go file.
func checkWords(name string, source []byte) ([]fault, error) {
	w := words{set: token.NewFileSet(), source: source, name: name, declared: map[string]bool{}}
	file, err := parser.ParseFile(w.set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BasicLit:
			if node.Kind == token.STRING {
				w.prose(node)
			}
		case *ast.BinaryExpr:
			w.concatenation(node)
		}
		for _, declared := range declares(node) {
			w.declared[declared.Name] = true
			if slices.ContainsFunc(split(declared.Name), refusedName) {
				w.report(declared.Pos(), declared.Name)
			}
		}
		return true
	})
	for _, group := range file.Comments {
		for _, s := range w.prose(group) {
			// A doc comment begins with the name that it documents.
			if first, _, _ := strings.Cut(s.words, " "); !w.declared[first] {
				w.report(group.Pos()+token.Pos(s.at), s.words)
			}
		}
	}
	slices.SortStableFunc(w.faults, func(a, b fault) int { return a.line - b.line })
	return w.faults, nil
}

func (w *words) report(at token.Pos, words string) {
	w.faults = append(w.faults, fault{w.name, w.set.Position(at).Line, strings.ReplaceAll(words, "//", "")})
}

// prose reports the phrases in a comment or string, and returns its sentences with a subject
// that must not be.
func (w *words) prose(node ast.Node) []found {
	begin := w.set.Position(node.Pos()).Offset
	written := string(w.source[begin:w.set.Position(node.End()).Offset])
	for _, p := range findPhrases(written) {
		w.report(node.Pos()+token.Pos(p.at), p.words)
	}
	return findSubjects(written)
}

// concatenation reports the phrases that begin in one string and end in the next one.
func (w *words) concatenation(sum *ast.BinaryExpr) {
	last := sum.X
	if left, ok := last.(*ast.BinaryExpr); ok {
		last = left.Y
	}
	first, second := value(last), value(sum.Y)
	if sum.Op != token.ADD || first == "" || second == "" {
		return
	}
	for _, p := range findPhrases(first + second) {
		if p.at < len(first) && p.at+len(p.words) > len(first) {
			w.report(last.Pos(), p.words)
		}
	}
}

// value returns the value of a string in the source, and "" for other expressions.
func value(e ast.Expr) string {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		s, _ := strconv.Unquote(literal.Value)
		return s
	}
	return ""
}

// found is a place in a text.
type found struct {
	at    int
	words string
}

func findPhrases(text string) []found {
	var all []found
	for _, at := range refused.FindAllStringIndex(text, -1) {
		all = append(all, found{at[0], text[at[0]:at[1]]})
	}
	return all
}

// findSubjects returns the sentences that begin with Who or What, up to the end of their line.
func findSubjects(text string) []found {
	var all []found
	for _, at := range subject.FindAllStringSubmatchIndex(text, -1) {
		if !strings.HasPrefix(text[at[1]:], "?") {
			sentence, _, _ := strings.Cut(text[at[2]:at[3]], "\n")
			all = append(all, found{at[2], sentence})
		}
	}
	return all
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
	case *ast.File:
		return []*ast.Ident{node.Name}
	case *ast.ImportSpec:
		if node.Name != nil {
			return []*ast.Ident{node.Name}
		}
	case *ast.LabeledStmt:
		return []*ast.Ident{node.Label}
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
