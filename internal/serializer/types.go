package serializer

import (
	"math/big"
	"net/url"
	"reflect"
	"time"
)

// The type numbers of meta items. A custom serializer may take one over.
const (
	noType        = -1
	typeBigInt    = 0
	typeDate      = 1
	typeNaN       = 2
	typeUndefined = 3
	typeURL       = 4
	typeRegExp    = 5
	typeSet       = 6
	typeMap       = 7

	// typeFile is not on the wire: maps says where files are.
	typeFile = 8
)

// typeNames says what an issue calls a value of a built-in type.
var typeNames = [...]string{"bigint", "date", "nan", "undefined", "url", "regexp", "set", "map", "file"}

type (
	// Undefined is JavaScript's undefined. At the root it is sent as {}, in an array
	// as null with meta, and as a struct field or map value not at all.
	Undefined struct{}

	// PresentUndefined is undefined that keeps its object member: null with meta at
	// any place. It is decoded as [Undefined].
	PresentUndefined struct{}

	// InvalidDate is a JavaScript Date that holds no point in time.
	InvalidDate struct{}

	// Set is a JavaScript Set in insertion order. Nil is null. Duplicates are dropped
	// on decoding; encoding leaves that to the receiver. A map[K]struct{} is a set, too.
	Set []any

	// MapEntry is one entry of a [Map].
	MapEntry struct{ Key, Value any }

	// Map is a JavaScript Map in insertion order. Nil is null. On decoding the last
	// of equal keys wins. A Go map whose keys are no texts is a map, too.
	Map []MapEntry
)

// Custom is a serializer for one type of the application, oRPC's custom JSON
// serializer. Its functions may be called concurrently.
type Custom struct {
	// Type is the number of the type on the wire, not negative and equal on both sides.
	// Numbers from 20 up stay clear of types that oRPC may add. A number of a built-in
	// type replaces the reading of that type, as in oRPC.
	Type int

	// GoType says which values Encode is for: those of exactly this type or, for an
	// interface type, those whose type implements it. Nil pointers stay null.
	GoType reflect.Type

	// Encode gives a value that stands for the given one; it is encoded in its place.
	Encode func(any) (any, error)

	// Decode gets what was decoded, in the form that a target of type any gets, and
	// gives back the value. The content may be anything: peers send what they like.
	// The target takes the value if it is assignable, also behind a pointer.
	// An error makes the message malformed.
	Decode func(any) (any, error)
}

// matches reports whether c encodes values of type t.
func (c *Custom) matches(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false // what is in it decides
	}
	return t == c.GoType || c.GoType.Kind() == reflect.Interface && t.Implements(c.GoType)
}

// builtIns is a set of built-in types.
type builtIns uint16

func types(list ...int) builtIns {
	var set builtIns
	for _, typ := range list {
		set |= 1 << typ
	}
	return set
}

const allTypes builtIns = 1<<(typeFile+1) - 1

func (set builtIns) has(typ int) bool { return set&(1<<typ) != 0 }

func (set builtIns) without(list ...int) builtIns { return set &^ types(list...) }

var (
	anyType              = reflect.TypeFor[any]()
	bigIntType           = reflect.TypeFor[big.Int]()
	emptyStructType      = reflect.TypeFor[struct{}]()
	fileType             = reflect.TypeFor[File]()
	filePointerType      = reflect.TypeFor[*File]()
	invalidDateType      = reflect.TypeFor[InvalidDate]()
	mapType              = reflect.TypeFor[Map]()
	presentUndefinedType = reflect.TypeFor[PresentUndefined]()
	regExpType           = reflect.TypeFor[RegExp]()
	setType              = reflect.TypeFor[Set]()
	timeType             = reflect.TypeFor[time.Time]()
	undefinedType        = reflect.TypeFor[Undefined]()
	urlType              = reflect.TypeFor[url.URL]()
	valueType            = reflect.TypeFor[Value]()
)
