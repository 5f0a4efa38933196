package typescript

import (
	"strings"
	"unicode/utf8"
)

// lineWidth is the maximum length of a line, as for prettier.
const lineWidth = 80

// doc is a piece of a program with places where a line may end. As in prettier, a group is
// printed on one line if it fits, and otherwise with a line break at each of its places.
type doc any

type (
	// text is printed unchanged.
	text string
	// docs are printed one after the other.
	docs []doc
	// group is printed on one line or broken.
	group struct{ content doc }
	// indent indents the lines that begin in it.
	indent struct{ content doc }
	// ifBroken is printed only if the group around it is broken.
	ifBroken string
	// place is a possible line break. In a group on one line, flat is printed instead.
	place struct {
		flat string
		hard bool // always breaks the line, and the groups around it
	}
	// alias is the declaration of a type.
	alias struct {
		head       doc // up to the equals sign
		parameters bool
		typ        expr
	}
	// later returns a doc when all names are known.
	later func() doc
	// name is the name of a declaration, which is chosen when all declarations are known.
	name struct{ *declaration }
)

var (
	space = place{flat: " "}
	blank = place{}
	hard  = place{hard: true}
)

// joined returns the docs with a separator between them.
func joined(list []doc, separator doc) docs {
	var all docs
	for i, d := range list {
		if i > 0 {
			all = append(all, separator)
		}
		all = append(all, d)
	}
	return all
}

// printer prints docs.
type printer struct {
	out    strings.Builder
	column int
}

// format returns the text of a doc.
func format(d doc) string {
	var p printer
	p.print(d, 0, true, "")
	return p.out.String()
}

// print prints a doc. rest is the text after it on the same line, which must fit too.
func (p *printer) print(d doc, depth int, broken bool, rest string) {
	switch d := d.(type) {
	case text:
		p.write(string(d))
	case name:
		p.write(d.name)
	case docs:
		for i, part := range d {
			after := rest
			if i+1 < len(d) {
				after = firstLine(d[i+1:]) // up to the next place
				if !hasPlace(d[i+1:]) {
					after += rest
				}
			}
			p.print(part, depth, broken, after)
		}
	case indent:
		p.print(d.content, depth+1, broken, rest)
	case group:
		flat, ok := oneLine(d.content)
		fits := ok && p.column+utf8.RuneCountInString(flat)+utf8.RuneCountInString(rest) <= lineWidth
		p.print(d.content, depth, !fits, rest)
	case alias:
		p.print(d.layout(), depth, true, rest)
	case later:
		p.print(d(), depth, broken, rest)
	case ifBroken:
		if broken {
			p.write(string(d))
		}
	case place:
		if broken || d.hard {
			p.out.WriteByte('\n')
			p.column = 0
			p.write(strings.Repeat("  ", depth))
		} else {
			p.write(d.flat)
		}
	}
}

// layout returns an alias as prettier prints it. A type that does not fit on the line of
// its head is broken, or begins on the next line if prettier prefers that for its form.
func (a alias) layout() doc {
	head, _ := oneLine(a.head)
	own := a.typ.union == nil && (a.typ.form == bracketed || a.typ.form == named && (a.parameters || !a.begins(head)))
	if own && utf8.RuneCountInString(head)+len(" =") <= lineWidth {
		return docs{text(head), text(" ="), group{indent{docs{space, a.typ.inner()}}}}
	}
	return docs{group{a.head}, text(" ="), a.typ.value()}
}

// begins reports whether the type can begin on the line of its head, and be broken between
// its name and its arguments.
func (a alias) begins(head string) bool {
	parts, ok := a.typ.doc.(docs)
	if !ok {
		return true
	}
	first, _ := oneLine(parts[0])
	return utf8.RuneCountInString(head+" = "+first+"<") <= lineWidth
}

func (p *printer) write(s string) {
	p.out.WriteString(s)
	p.column += utf8.RuneCountInString(s)
}

// oneLine returns a doc on one line, and reports whether that is possible.
func oneLine(d doc) (string, bool) {
	switch d := d.(type) {
	case text:
		return string(d), true
	case name:
		return d.name, true
	case docs:
		var all strings.Builder
		for _, part := range d {
			s, ok := oneLine(part)
			if !ok {
				return "", false
			}
			all.WriteString(s)
		}
		return all.String(), true
	case indent:
		return oneLine(d.content)
	case group:
		return oneLine(d.content)
	case later:
		return oneLine(d())
	case place:
		return d.flat, !d.hard
	}
	return "", true
}

// firstLine returns the text before the first possible line break of docs.
func firstLine(list docs) string {
	var line strings.Builder
	for _, d := range list {
		if hasPlace(docs{d}) {
			if inner, ok := d.(docs); ok {
				line.WriteString(firstLine(inner))
			}
			break
		}
		s, _ := oneLine(d)
		line.WriteString(s)
	}
	return line.String()
}

// hasPlace reports whether one of the docs has a possible line break.
func hasPlace(list docs) bool {
	for _, d := range list {
		var inner docs
		switch d := d.(type) {
		case place:
			return true
		case docs:
			inner = d
		case later:
			inner = docs{d()}
		case group:
			inner = docs{d.content}
		case indent:
			inner = docs{d.content}
		}
		if hasPlace(inner) {
			return true
		}
	}
	return false
}
