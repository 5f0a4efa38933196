package serializer

import (
	"encoding"
	"encoding/json"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The numbers of the built-in types in meta. A custom type may have one of them in its place.
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

	// typeFile is not on the wire, where files are in maps.
	typeFile = 8
)

// typeNames has the names of the built-in types in issues.
var typeNames = [...]string{"bigint", "date", "nan", "undefined", "url", "regexp", "set", "map", "file"}

// PresentUndefined is undefined that keeps its object member: null with meta everywhere
// except at the root. It is decoded as [value.Undefined].
type PresentUndefined struct{}

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
	fileType             = reflect.TypeFor[value.File]()
	filePointerType      = reflect.TypeFor[*value.File]()
	invalidDateType      = reflect.TypeFor[value.InvalidDate]()
	numberType           = reflect.TypeFor[json.Number]()
	mapType              = reflect.TypeFor[value.Map]()
	presentUndefinedType = reflect.TypeFor[PresentUndefined]()
	regExpType           = reflect.TypeFor[value.RegExp]()
	setType              = reflect.TypeFor[value.Set]()
	timeType             = reflect.TypeFor[time.Time]()
	undefinedType        = reflect.TypeFor[value.Undefined]()
	urlType              = reflect.TypeFor[url.URL]()
	valueType            = reflect.TypeFor[value.Value]()
)

type (
	bigIntIdentity string
	nanIdentity    struct{}
)

// identity returns a comparable value that is equal for values that are the same element of a
// JavaScript Set. It reports false for objects, which are the same as no other value.
func identity(v any) (any, bool) {
	switch v := v.(type) {
	case nil, bool, string, value.Undefined:
		return v, true
	case float64:
		if math.IsNaN(v) {
			return nanIdentity{}, true
		}
		return v, true
	case *big.Int:
		return bigIntIdentity(v.String()), true
	}
	return nil, false
}

// maxDepth is how deep values may be nested, in both directions.
const maxDepth = 1000

var (
	marshalerType       = reflect.TypeFor[json.Marshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// hasMethods reports whether t has methods that encode or decode it.
func hasMethods(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	return t.Implements(marshalerType) || t.Implements(textMarshalerType) ||
		t.Implements(unmarshalerType) || t.Implements(textUnmarshalerType)
}

// isSpecial reports whether t is one of the types that this package treats specially.
func isSpecial(t reflect.Type) bool {
	switch t {
	case bigIntType, fileType, filePointerType, invalidDateType, mapType, presentUndefinedType, regExpType, setType,
		timeType, undefinedType, urlType, valueType, numberType:
		return true
	}
	return false
}
