package typescript

import (
	"reflect"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// DefaultClientModule is the default module from which the types of iterators are imported.
const DefaultClientModule = "@go-orpc/durable-iterator-client"

// Options configures a module. A zero field adds nothing, or means the default that its
// comment names.
type Options struct {
	// Router has procedures of the client type.
	Router *rpc.Router
	// Contracts are further procedures of the client type.
	Contracts []rpc.Contract
	// Iterators are the durable iterators, with the methods of their objects. The contract
	// of an iterator is a procedure of the client type, and may also be in Router or
	// Contracts. An iterator whose contract is only in these has no methods.
	Iterators []Iterator

	// Types are further types to declare, such as the type of a token's attachment.
	Types []reflect.Type
	// Enums are the types that only have certain values.
	Enums []Enum
	// Own are types that are written by hand. The module uses them instead of generating
	// them.
	Own []Own
	// Serializers are the serializers of the server. Each of their types needs an entry in
	// Own.
	Serializers []value.Serializer

	// Source is a directory in the Go module of the contracts; "." is that of the file with
	// the go:generate comment. Comments and names of constants, which the compiled program
	// does not have, are read from the source. Empty means that they are not read.
	Source string

	// NoNil promises that the program never sends nil as a slice, a map, a [*big.Int], a
	// [*url.URL] or a [*value.File]. Otherwise their types include null, as which nil is
	// sent, unless the tag option omitempty or omitzero omits nil. Types of other pointers
	// always include null.
	NoNil bool

	// Plain is for pages that use the function dial, without oRPC's client. The module then
	// does not import oRPC and has no client type, but iterators, methods and types.
	Plain bool
	// ClientModule is the module from which the types of iterators are imported. The
	// default is [DefaultClientModule], with /orpc appended unless Plain is set. For a page
	// that uses oRPC's own package set it to [OriginalClientModule]. The types of iterators
	// are then generated for that package, in which events must be objects.
	ClientModule string
}

// Iterator describes a durable iterator and the methods that its tokens may allow.
type Iterator struct {
	// Contract is the procedure that returns the iterator: a durableiterator.Contract or
	// its route. It is nil if the token is fetched in another way; Name and Event are then
	// required.
	Contract rpc.Contract
	// Methods are the methods of the object. Which of them a token allows is only known at
	// run time: a call of another one by the iterator's rpc fails with FORBIDDEN.
	Methods []rpc.Contract
	// Name is the prefix of the names of its types. The default is the path of Contract, so
	// that the types of "onSale" are OnSaleIterator and OnSaleMethods.
	Name string
	// Event is the type of the events if there is no Contract.
	Event reflect.Type
}

// Enum is a Go type with its values: see [EnumOf].
type Enum struct {
	typ    reflect.Type
	values []any
}

// EnumOf declares that a type has these values and no others, which Go cannot express.
// Without values, they are the constants of the type in its package, which are found if
// [Options.Source] is set. Values are written as they are sent: strings, numbers or
// booleans.
//
// If the values are numbers, and the names of their constants are known, the module also
// exports an object with these names.
func EnumOf[T any](values ...T) Enum {
	e := Enum{typ: reflect.TypeFor[T]()}
	for _, v := range values {
		e.values = append(e.values, v)
	}
	return e
}

// Own is a Go type whose type in TypeScript is written by hand: see [OwnType].
type Own struct {
	goType reflect.Type
	name   string
	from   string
}

// OwnType declares that values of type T have the TypeScript type with the given name,
// which the given module exports. If T is an interface, it applies to all types that
// implement it. If module is empty, name may be any type, such as "`${number}px`". It is
// needed for the types of [Options.Serializers], and useful for types with a method
// MarshalJSON, which are otherwise unknown.
func OwnType[T any](name, module string) Own {
	return Own{goType: reflect.TypeFor[T](), name: name, from: module}
}
