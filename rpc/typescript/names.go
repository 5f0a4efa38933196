package typescript

import (
	"cmp"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reserved are names that a declaration must not have, since the module or TypeScript uses
// them. All declarations begin with an upper-case letter.
var reserved = []string{
	"Array", "AsyncIteratorClass", "AsyncIteratorObject", "Blob", "Boolean", "C", "CallError", "Client", "ClientContext",
	"ClientDurableIterator", "Date", "DurableIterator", "Error", "File", "Function", "InferClientInputs",
	"InferClientOutputs", "Infinity", "Map", "Method", "NaN", "Number", "ORPCError", "Object", "Partial", "Promise",
	"Record", "RegExp", "Set", "String", "Symbol", "ThrowableError", "URL",
}

// nameAll chooses the names of the declarations. If several want the same name, the name of
// its package is put before each type; names that are then still equal are numbered.
func (m *module) nameAll() {
	taken := map[string]bool{}
	for _, n := range reserved {
		taken[n] = true
	}
	for _, names := range m.imports {
		for n := range names {
			taken[n] = true
		}
	}
	wanted := map[string][]*declaration{}
	for _, d := range m.declarations {
		d.name = d.wanted
		wanted[d.wanted] = append(wanted[d.wanted], d)
	}
	var rivals []*declaration
	for _, list := range wanted {
		if len(list) == 1 && !taken[list[0].name] {
			taken[list[0].name] = true
			continue
		}
		rivals = append(rivals, list...)
	}
	slices.SortFunc(rivals, func(a, b *declaration) int {
		return cmp.Or(
			cmp.Compare(a.section, b.section), cmp.Compare(a.wanted, b.wanted),
			cmp.Compare(a.identity, b.identity), cmp.Compare(a.order, b.order),
		)
	})
	for _, d := range rivals {
		if d.section == sectionTypes || taken[d.name] {
			d.name = d.qualifier + d.wanted
		}
		for base, n := d.name, 2; taken[d.name]; n++ {
			d.name = base + strconv.Itoa(n)
		}
		taken[d.name] = true
	}
}

// typeName returns the wanted name for a Go type. That of a generic type includes the names
// of its arguments.
func typeName(t reflect.Type) string {
	base, arguments, _ := strings.Cut(t.Name(), "[")
	var all strings.Builder
	all.WriteString(exported(base))
	for _, argument := range argumentNames.FindAllString(arguments, -1) {
		argument = path.Base(argument)
		all.WriteString(exported(argument[1+strings.LastIndexByte(argument, '.'):]))
	}
	return all.String()
}

// argumentNames matches the names of types in the name of a generic type, with their
// packages.
var argumentNames = regexp.MustCompile(`[\p{L}_][\p{L}\p{Nd}_./-]*`)

// packageName returns the name of the package of a type.
func packageName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.String(), ".")
	return name
}

// pathName returns the name for types of the procedure with a path.
func pathName(path []string) string {
	var all strings.Builder
	for _, word := range path {
		all.WriteString(pascal(word))
	}
	return all.String()
}

// pascal returns a name in which each word begins with an upper-case letter. The other
// letters of words in upper case, such as in the code of an error, become lower case.
func pascal(name string) string {
	var all strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if strings.ToUpper(word) == word {
			word = strings.ToLower(word)
		}
		all.WriteString(exported(word))
	}
	return cmp.Or(exported(all.String()), "_")
}

// exported returns a name that begins with an upper-case letter, or an underscore if it would
// begin with a digit.
func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	switch {
	case size == 0:
		return ""
	case unicode.IsDigit(first):
		return "_" + name
	}
	return string(unicode.ToUpper(first)) + name[size:]
}
