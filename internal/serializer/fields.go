package serializer

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// field is a member of a struct, by the rules of encoding/json.
type field struct {
	name    string
	prefix  []byte // the encoded name, then a colon
	index   []int  // through embedded structs
	typ     reflect.Type
	tagged  bool
	quoted  bool // it has the tag option string, and that applies
	omitted func(reflect.Value) bool

	omitEmpty, omitZero bool // the tag options that omitted stands for

	plan     *plan
	embedded bool // index has more than one step
	sealed   bool // it cannot be set: it is embedded, of an unexported type, a member by its tag
}

// structFields has the members of a struct.
type structFields struct {
	list   []field
	exact  map[string]*field
	folded map[string]*field // by foldName; the first in list counts
}

// fieldsOf returns the members of a struct type, by the rules of encoding/json for tags, embedding
// and conflicts.
func fieldsOf(t reflect.Type) *structFields {
	byName := make(map[string][]field)
	for _, f := range collectFields(nil, t, nil, nil) {
		byName[f.name] = append(byName[f.name], f)
	}
	fs := &structFields{exact: make(map[string]*field), folded: make(map[string]*field)}
	for _, rivals := range byName {
		if f, ok := dominant(rivals); ok {
			fs.list = append(fs.list, f)
		}
	}
	slices.SortFunc(fs.list, func(a, b field) int { return slices.Compare(a.index, b.index) })
	for i := range fs.list {
		f := &fs.list[i]
		fs.exact[f.name] = f
		if key := string(foldName([]byte(f.name))); fs.folded[key] == nil {
			fs.folded[key] = f
		}
	}
	return fs
}

// collectFields appends the fields of t and of the structs that it embeds, without regard to
// conflicts. Outer has the types that t is embedded in, which are not entered again.
func collectFields(list []field, t reflect.Type, index []int, outer []reflect.Type) []field {
	if slices.Contains(outer, t) {
		return list
	}
	outer = append(outer, t)
	for sf := range t.Fields() {
		tag := sf.Tag.Get("json")
		base := sf.Type
		if base.Kind() == reflect.Pointer && base.Name() == "" {
			base = base.Elem()
		}
		// An embedded file is a member itself: its fields are not its content.
		embedsStruct := sf.Anonymous && base.Kind() == reflect.Struct && base != fileType
		if tag == "-" || !sf.IsExported() && !embedsStruct {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		path := append(slices.Clone(index), sf.Index...)
		if name == "" && embedsStruct {
			list = collectFields(list, base, path, outer)
			continue
		}
		f := field{name: name, index: path, typ: sf.Type, tagged: name != "", embedded: len(path) > 1}
		f.sealed = !sf.IsExported() && (sf.Type.Kind() != reflect.Struct || hasMethods(sf.Type))
		if name == "" {
			f.name = sf.Name
		}
		f.prefix = append(jsontext.AppendString(nil, f.name), ':')
		f.setOptions(strings.Split(options, ","), base)
		list = append(list, f)
	}
	return list
}

func (f *field) setOptions(options []string, base reflect.Type) {
	f.quoted = slices.Contains(options, "string") && quotable(base)
	f.omitEmpty, f.omitZero = slices.Contains(options, "omitempty"), slices.Contains(options, "omitzero")
	zero := zeroFunc(f.typ)
	switch {
	case f.omitEmpty && f.omitZero:
		f.omitted = func(v reflect.Value) bool { return isEmpty(v) || zero(v) }
	case f.omitEmpty:
		f.omitted = isEmpty
	case f.omitZero:
		f.omitted = zero
	}
}

// dominant returns the field that a name stands for, if there is one: the least deeply embedded
// one or, of several of these, the only one with a tag.
func dominant(rivals []field) (field, bool) {
	slices.SortStableFunc(rivals, func(a, b field) int {
		switch {
		case len(a.index) != len(b.index):
			return len(a.index) - len(b.index)
		case a.tagged != b.tagged && a.tagged:
			return -1
		case a.tagged != b.tagged:
			return 1
		}
		return 0
	})
	first := rivals[0]
	if len(rivals) > 1 && len(first.index) == len(rivals[1].index) && first.tagged == rivals[1].tagged {
		return field{}, false
	}
	return first, true
}

func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

func quotable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64, reflect.Uintptr,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// isEmpty reports whether omitempty leaves out v.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

type isZeroer interface{ IsZero() bool }

// zeroFunc returns a function that reports whether omitzero leaves out a value of type t. It calls
// the method IsZero if there is one.
func zeroFunc(t reflect.Type) func(reflect.Value) bool {
	zeroer := reflect.TypeFor[isZeroer]()
	nilable := t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer
	switch {
	case t.Implements(zeroer):
		return func(v reflect.Value) bool {
			if nilable && (v.IsNil() || v.Kind() == reflect.Interface && v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil()) {
				return true
			}
			return v.Interface().(isZeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(zeroer):
		return func(v reflect.Value) bool { return addressable(v).Interface().(isZeroer).IsZero() }
	}
	return reflect.Value.IsZero
}

// read returns the field of a struct for encoding. It reports false if an embedded pointer on the
// way is nil.
func (f *field) read(v reflect.Value) (reflect.Value, bool) {
	if !f.embedded {
		return v.Field(f.index[0]), true
	}
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// write returns the field of a struct for decoding, and allocates the structs that it is embedded
// in. It reports false if the field, or a nil pointer on the way, is unexported and cannot be set.
func (f *field) write(v reflect.Value) (reflect.Value, bool) {
	if f.sealed {
		return reflect.Value{}, false
	}
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return reflect.Value{}, false
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// find returns the field for a key: the one of exactly this name or else, as in encoding/json, one
// whose name differs only in case. It returns nil if there is none.
func (fs *structFields) find(key []byte) *field {
	if f := fs.exact[string(key)]; f != nil {
		return f
	}
	return fs.folded[string(foldName(key))]
}

// foldName returns a name that is the same for all names that differ only in case.
func foldName(name []byte) []byte {
	folded := make([]byte, 0, len(name))
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		name = name[size:]
		folded = utf8.AppendRune(folded, foldRune(r))
	}
	return folded
}

// foldRune returns the smallest of the runes that differ from r only in case.
func foldRune(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// addressable returns a pointer to v, or to a copy if v has no address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v.Addr()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}
