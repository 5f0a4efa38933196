package typescript

import (
	"regexp"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// expr is a type of TypeScript.
type expr struct {
	doc
	union []expr // its alternatives, if it is a union
	form  form
}

// form decides how lines are broken at a type.
type form int

const (
	simple    form = iota
	named          // a name, perhaps with arguments
	object         // it takes several lines
	bracketed      // it begins with a bracket
)

func word(s string) expr { return expr{doc: text(s)} }

func (d *declaration) expr() expr { return expr{doc: name{d}, form: named} }

// unionOf returns the union of types, each once.
func unionOf(types ...expr) expr {
	var union []expr
	seen := map[doc]bool{}
	for _, t := range types {
		alternatives := t.union
		if alternatives == nil {
			alternatives = []expr{t}
		}
		for _, a := range alternatives {
			switch d := a.doc.(type) {
			case text, name:
				if d == text("unknown") {
					return a // it has all others
				}
				if seen[d] {
					continue
				}
				seen[d] = true
			}
			union = append(union, a)
		}
	}
	if len(union) == 1 {
		return union[0]
	}
	return expr{union: union}
}

// value returns the type for a place after a colon or an equals sign, with a space before
// it.
func (t expr) value() doc {
	if t.union == nil {
		return docs{text(" "), t.doc}
	}
	if t.hugs() {
		return docs{text(" "), t.inner()}
	}
	return group{indent{docs{space, t.inner()}}}
}

// inner returns the type for a place in brackets.
func (t expr) inner() doc {
	switch {
	case t.union == nil:
		return t.doc
	case t.hugs():
		return joined(plain(t.union), text(" | "))
	}
	return group{docs{ifBroken("| "), t.alternatives()}}
}

func (t expr) alternatives() doc {
	list := plain(t.union)
	for i := range list {
		list[i] = indent{list[i]}
	}
	return joined(list, docs{space, text("| ")})
}

// hugs reports whether a union is one type and null. Null then stays on the last line of
// the type.
func (t expr) hugs() bool {
	return len(t.union) == 2 && (t.union[0].form == object || t.union[0].form == named) && t.union[1].doc == text("null")
}

func plain(types []expr) []doc {
	list := make([]doc, len(types))
	for i, t := range types {
		list[i] = t.inner()
	}
	return list
}

// genericOf returns a type with arguments.
func genericOf(of string, args ...expr) expr {
	return expr{doc: docs{text(of), arguments(args)}, form: named}
}

func arguments(args []expr) doc {
	if len(args) == 1 && (args[0].form == object || args[0].union == nil && isWord(args[0].doc)) {
		return docs{text("<"), args[0].inner(), text(">")}
	}
	return group{docs{text("<"), indent{docs{blank, joined(plain(args), docs{text(","), space})}}, blank, text(">")}}
}

func isWord(d doc) bool {
	switch d.(type) {
	case text, name:
		return true
	}
	return false
}

func arrayOf(t expr) expr {
	if t.union != nil {
		if t.hugs() {
			return expr{doc: docs{text("("), t.inner(), text(")[]")}, form: bracketed}
		}
		return expr{doc: docs{group{docs{text("("), indent{docs{blank, t.inner()}}, blank, text(")")}}, text("[]")}, form: bracketed}
	}
	return expr{doc: docs{t.doc, text("[]")}}
}

func tupleOf(types ...expr) expr {
	list := joined(plain(types), docs{text(","), space})
	return expr{doc: group{docs{text("["), indent{docs{blank, list}}, ifBroken(","), blank, text("]")}}}
}

// property is a member of an object type.
type property struct {
	name     string
	optional bool
	comment  func() comment // may be nil
	typ      expr
}

// objectOf returns an object type, each member of which has its line.
func objectOf(properties []property) expr {
	if len(properties) == 0 {
		return genericOf("Record", word("never"), word("never"))
	}
	var lines docs
	for _, p := range properties {
		mark := ":"
		if p.optional {
			mark = "?:"
		}
		lines = append(lines, hard)
		if p.comment != nil {
			lines = append(lines, later(func() doc { return p.comment().doc() }))
		}
		lines = append(lines, text(key(p.name)+mark), p.typ.value())
	}
	return expr{doc: docs{text("{"), indent{lines}, hard, text("}")}, form: object}
}

// dictionaryOf returns an object type with an index signature.
func dictionaryOf(keys doc, elem expr) expr {
	return expr{doc: docs{text("{"), indent{docs{hard, keys, elem.value()}}, hard, text("}")}, form: object}
}

var identifier = regexp.MustCompile(`^[\p{L}_$][\p{L}\p{Nd}_$]*$`)

// key returns the name of a member, in quotes if necessary.
func key(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quoted(name)
}

// quoted returns the literal of a string: in single quotes or, like prettier, in double
// quotes if these need fewer escapes.
func quoted(s string) string {
	encoded := jsontext.AppendString(nil, s)
	inner := strings.NewReplacer(`\\`, `\\`, `\"`, `"`).Replace(string(encoded[1 : len(encoded)-1]))
	quote := `'`
	if strings.Count(s, `'`) > strings.Count(s, `"`) {
		quote = `"`
	}
	return quote + strings.ReplaceAll(inner, quote, `\`+quote) + quote
}

// comment has the lines of the comment of a declaration or a member, without markers.
type comment []string

// newComment returns a comment with a text. A deprecation in Go becomes one in TypeScript.
func newComment(s string) comment {
	s = strings.TrimSpace(strings.ReplaceAll(s, "*/", "*\\/"))
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "Deprecated: "); ok {
			lines[i] = "@deprecated " + rest
		}
	}
	return lines
}

// doc returns the comment, and the end of its line.
func (c comment) doc() doc {
	switch len(c) {
	case 0:
		return docs{}
	case 1:
		return docs{text("/** " + c[0] + " */"), hard}
	}
	lines := docs{text("/**"), hard}
	for _, line := range c {
		lines = append(lines, text(strings.TrimRight(" * "+strings.ReplaceAll(line, "\t", "    "), " ")), hard)
	}
	return append(lines, text(" */"), hard)
}
