package serializer

import "reflect"

// Kind is the kind of a value on the wire.
type Kind int

// The kinds of values.
const (
	Unsupported Kind = iota // cannot be sent
	Unknown                 // any, or JSON of a type's own method
	Custom                  // sent by a value.Serializer
	Boolean
	Number
	String
	BigInt
	Date
	Undefined
	URL
	RegExp
	File
	Pointer // to Elem
	Array   // of Elem
	Tuple   // of Len times Elem
	Set     // of Elem
	Map     // of Key and Elem
	Record  // an object with any keys, which are of type Key, and values of type Elem
	Object  // an object with Members
)

// Shape describes the values of a Go type on the wire.
type Shape struct {
	Kind Kind
	// Nil means that a value may be nil, which is sent as null.
	Nil bool
	// BuiltIn means that the serializer knows the type by its name.
	BuiltIn bool
	// Key and Elem are types of the content. An element of nil type is any value.
	Key, Elem reflect.Type
	Len       int
	Members   []Member
}

// Member is a member of an object.
type Member struct {
	Name string
	// Type is that of the Go field.
	Type reflect.Type
	// Optional means that the member may be absent.
	Optional bool
	// NilOmitted means that the member is omitted if its value is nil.
	NilOmitted bool
	// Quoted means that the JSON of the value is sent as a string.
	Quoted bool
	// Index is the index of the field, see [reflect.Value.FieldByIndex].
	Index []int
}

// Shape returns the shape of the values of a type on the wire. Like the plan for the type
// it depends on the kinds of Go, the rules of encoding/json for fields and methods, and the
// custom types of s.
func (s *Serializer) Shape(t reflect.Type) Shape {
	b := planner{s: s, made: make(map[reflect.Type]*plan)}
	nilable := t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface
	if s.customFor(t) != nil {
		return Shape{Kind: Custom, Nil: nilable}
	}
	if isSpecial(t) {
		return Shape{Kind: specialKinds[t], BuiltIn: true, Nil: t == filePointerType || t == setType || t == mapType}
	}
	if kind, ok := methodKind(t); ok && !nilable {
		return Shape{Kind: kind}
	}
	return b.shape(t)
}

// specialKinds has the kinds of the types that isSpecial.
var specialKinds = map[reflect.Type]Kind{
	bigIntType:           BigInt,
	fileType:             Unsupported,
	filePointerType:      File,
	invalidDateType:      Date,
	mapType:              Map,
	presentUndefinedType: Undefined,
	regExpType:           RegExp,
	setType:              Set,
	timeType:             Date,
	undefinedType:        Undefined,
	urlType:              URL,
	valueType:            Unknown,
	numberType:           Number,
}

// methodKind returns the kind of a type whose own methods encode or decode it, by the rules
// of addMethods. The result of these methods is not known, unless it is a string in both
// directions.
func methodKind(t reflect.Type) (Kind, bool) {
	if !hasMethods(t) {
		return 0, false
	}
	pointer := reflect.PointerTo(t)
	text := t.Implements(textMarshalerType) && !pointer.Implements(marshalerType)
	if text && !pointer.Implements(unmarshalerType) {
		return String, true
	}
	return Unknown, true
}

// shape returns the shape of a type without regard to its methods.
func (b *planner) shape(t reflect.Type) Shape {
	switch t.Kind() {
	case reflect.Bool:
		return Shape{Kind: Boolean}
	case reflect.String:
		return Shape{Kind: String}
	case reflect.Interface:
		return Shape{Kind: Unknown, Nil: true}
	case reflect.Pointer:
		return Shape{Kind: Pointer, Nil: true, Elem: t.Elem()}
	case reflect.Struct:
		return Shape{Kind: Object, Members: b.members(t)}
	case reflect.Map:
		switch {
		case t.Elem() == emptyStructType:
			return Shape{Kind: Set, Nil: true, Elem: t.Key()}
		case b.isStringKey(t.Key()):
			return Shape{Kind: Record, Nil: true, Key: t.Key(), Elem: t.Elem()}
		}
		return Shape{Kind: Map, Nil: true, Key: t.Key(), Elem: t.Elem()}
	case reflect.Slice:
		if isBytes(t) {
			return Shape{Kind: String, Nil: true}
		}
		return Shape{Kind: Array, Nil: true, Elem: t.Elem()}
	case reflect.Array:
		return Shape{Kind: Tuple, Elem: t.Elem(), Len: t.Len()}
	}
	if quotable(t) {
		return Shape{Kind: Number}
	}
	return Shape{Kind: Unsupported}
}

func (b *planner) members(t reflect.Type) []Member {
	fields := fieldsOf(t)
	members := make([]Member, 0, len(fields.list))
	for i := range fields.list {
		f := &fields.list[i]
		members = append(members, Member{
			Name:       f.name,
			Type:       f.typ,
			Optional:   f.omits() || canBeUndefined(f.typ) || throughPointer(t, f.index),
			NilOmitted: f.omitEmpty || f.omitZero && !ownZero(f.typ),
			Quoted:     f.quoted && !hasMethods(f.typ) && b.s.customFor(f.typ) == nil,
			Index:      f.index,
		})
	}
	return members
}

// omits reports whether omitted returns true for some values.
func (f *field) omits() bool {
	return f.omitZero || f.omitEmpty && isEmpty(reflect.Zero(f.typ))
}

// ownZero reports whether a method IsZero decides which slices or maps are zero. These may
// not include nil.
func ownZero(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[isZeroer]())
}

// canBeUndefined reports whether values of a type may be undefined, as far as the type
// shows it.
func canBeUndefined(t reflect.Type) bool {
	for range maxDepth { // a type of pointers may lead to itself
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t == undefinedType || t == valueType
}

// throughPointer reports whether a field is in a struct that is embedded by its pointer.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
