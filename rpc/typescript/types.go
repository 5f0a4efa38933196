package typescript

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
)

// iterator is implemented by durableiterator.Subscription of any type.
type iterator interface{ EventType() reflect.Type }

var (
	voidType     = reflect.TypeFor[rpc.Void]()
	iteratorType = reflect.TypeFor[iterator]()
)

// maxTuple is the length of the longest array that is written as a tuple.
const maxTuple = 4

// expr returns the type of values of a Go type, with null where they may be nil.
func (m *module) expr(t reflect.Type) (expr, error) {
	e, null, err := m.bare(t)
	if err == nil && null {
		e = unionOf(e, word("null"))
	}
	return e, err
}

// bare returns the type of values of a Go type that are not nil, and reports whether they
// may be nil.
func (m *module) bare(t reflect.Type) (e expr, null bool, err error) {
	if own, ok := m.own(t); ok {
		return m.imported(own), isNilable(t), nil
	}
	if enum, ok := m.enums[t]; ok {
		return enum.expr(), false, nil
	}
	s := m.serializer.Shape(t)
	null = s.Nil && (!m.NoNil || s.Kind == serializer.Pointer)
	if s.Kind == serializer.Pointer {
		if m.followed[t] {
			return expr{}, false, fmt.Errorf("type %s is a pointer that leads to itself", t)
		}
		m.followed[t] = t.PkgPath() != "" // others can lead to themselves only through a named type
		e, _, err = m.bare(s.Elem)
		m.followed[t] = false
		target := m.serializer.Shape(s.Elem).Kind
		return e, !m.NoNil || target != serializer.BigInt && target != serializer.URL, err
	}
	if isNamed(t, s) {
		d, err := m.declare(t, s)
		return d.expr(), null, err
	}
	e, err = m.shape(t, s)
	return e, null, err
}

func isNilable(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface
}

// isNamed reports whether a type has a declaration.
func isNamed(t reflect.Type, s serializer.Shape) bool {
	unnamed := []serializer.Kind{serializer.Unsupported, serializer.Unknown, serializer.Custom}
	return t.PkgPath() != "" && !s.BuiltIn && t != voidType && !slices.Contains(unnamed, s.Kind)
}

// words has the types that have a name in TypeScript.
var words = map[serializer.Kind]string{
	serializer.Unknown:   "unknown",
	serializer.Boolean:   "boolean",
	serializer.Number:    "number",
	serializer.String:    "string",
	serializer.BigInt:    "bigint",
	serializer.Date:      "Date",
	serializer.Undefined: "undefined",
	serializer.URL:       "URL",
	serializer.RegExp:    "RegExp",
	serializer.File:      "File",
}

// shape returns the type of values of a shape.
func (m *module) shape(t reflect.Type, s serializer.Shape) (expr, error) {
	switch s.Kind {
	case serializer.Unsupported:
		return expr{}, fmt.Errorf("values of type %s cannot be sent", t)
	case serializer.Custom:
		return expr{}, fmt.Errorf("type %s has a Serializer: name its type in Options.Own", t)
	case serializer.Array:
		elem, err := m.expr(s.Elem)
		return arrayOf(elem), err
	case serializer.Tuple:
		elem, err := m.expr(s.Elem)
		if s.Len > maxTuple {
			return arrayOf(elem), err
		}
		list := make([]expr, s.Len)
		for i := range list {
			list[i] = elem
		}
		return tupleOf(list...), err
	case serializer.Set:
		elem, err := m.element(s.Elem)
		return genericOf("Set", elem), err
	case serializer.Map:
		key, err := m.element(s.Key)
		if err != nil {
			return expr{}, err
		}
		elem, err := m.element(s.Elem)
		return genericOf("Map", key, elem), err
	case serializer.Record:
		return m.record(t, s)
	case serializer.Object:
		properties, err := m.properties(t, s.Members)
		return objectOf(properties), err
	default:
		return word(words[s.Kind]), nil
	}
}

// element returns the type of the elements of a set or a map. If t is nil, they may have
// any type.
func (m *module) element(t reflect.Type) (expr, error) {
	if t == nil {
		return word("unknown"), nil
	}
	return m.expr(t)
}

// record returns the type of an object with any keys. A named type may contain itself,
// which TypeScript accepts only with an index signature. A key that is an enum may be
// absent.
func (m *module) record(t reflect.Type, s serializer.Shape) (expr, error) {
	elem, err := m.expr(s.Elem)
	if err != nil {
		return expr{}, err
	}
	enum, ok := m.enums[s.Key]
	switch {
	case ok && t.PkgPath() != "":
		return dictionaryOf(docs{text("[key in "), enum.expr().doc, text("]?:")}, elem), nil
	case t.PkgPath() != "":
		return dictionaryOf(text("[key: string]:"), elem), nil
	case ok:
		return genericOf("Partial", genericOf("Record", enum.expr(), elem)), nil
	}
	return genericOf("Record", word("string"), elem), nil
}

// properties returns the members of a struct.
func (m *module) properties(t reflect.Type, members []serializer.Member) ([]property, error) {
	properties := make([]property, 0, len(members))
	for _, member := range members {
		typ, null, err := m.bare(member.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", member.Name, err)
		}
		if member.Quoted {
			typ = word("string")
		}
		if null && !member.NilOmitted {
			typ = unionOf(typ, word("null"))
		}
		properties = append(properties, property{
			name:     member.Name,
			optional: member.Optional,
			comment:  func() comment { return m.source.field(t, member.Index) },
			typ:      typ,
		})
	}
	return properties, nil
}

// declare returns the declaration of a named type.
func (m *module) declare(t reflect.Type, s serializer.Shape) (*declaration, error) {
	if d, ok := m.types[t]; ok {
		return d, nil
	}
	d := m.newDeclaration(sectionTypes, typeName(t), t)
	if d.comment = m.source.typ(t); t == reflect.TypeFor[time.Duration]() {
		d.comment = comment{"A duration in nanoseconds."}
	}
	m.types[t] = d
	if s.Kind == serializer.Object && len(s.Members) > 0 {
		properties, err := m.properties(t, s.Members)
		d.write(text("export interface "), name{d}, text(" "), objectOf(properties).doc)
		return d, within(t, err)
	}
	e, err := m.shape(t, s)
	d.write(alias{head: docs{text("export type "), name{d}}, typ: e})
	return d, within(t, err)
}

func within(t reflect.Type, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return nil
}
