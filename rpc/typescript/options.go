package typescript

import (
	"reflect"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// DefaultClientModule is where the types of iterators are imported from by default.
const DefaultClientModule = "@go-orpc/durable-iterator-client"

// Options configures a module. A zero field adds nothing, or is the default that it names.
type Options struct {
	// Router has procedures of the client type.
	Router *rpc.Router
	// Contracts are further procedures of the client type.
	Contracts []rpc.Contract
	// Iterators are the durable iterators, with the methods of their objects. The contract
	// of an iterator is a procedure of the client type, and may be in Router or Contracts
	// too. An iterator whose contract is only there has no methods.
	Iterators []Iterator

	// Types are further types to declare, such as that of an attachment of tokens.
	Types []reflect.Type
	// Enums are the types that have some values only.
	Enums []Enum
	// Own are types that are written by hand: the module uses them in place of its own.
	Own []Own
	// Serializers are those of the server. Each of their types needs an entry in Own.
	Serializers []value.Serializer

	// Source is a directory in the Go module of the contracts: "." is that of the file with
	// the go:generate comment. Comments and names of constants, which the compiled program
	// does not have, are read there. Empty means none.
	Source string

	// NoNil promises that the program never sends nil as a slice, a map, a [*big.Int], a
	// [*url.URL] or a [*value.File]. Without it their types have null, as that is what nil
	// is sent as, unless the tag option omitempty or omitzero leaves nil out. Other pointers
	// have null in either case.
	NoNil bool

	// Plain is for pages that use the function dial, without oRPC's client. The module then
	// imports nothing of oRPC and has no client type, but iterators, methods and types.
	Plain bool
	// ClientModule is where the types of iterators are imported from. The default is
	// [DefaultClientModule], without Plain with /orpc after it. A page on oRPC's own package has
	// [OriginalClientModule], with which the types of iterators are written for that package: it
	// takes objects as events only.
	ClientModule string
}

// Iterator is a durable iterator, and the methods that its tokens may allow.
type Iterator struct {
	// Contract is the procedure that returns it: a durableiterator.Contract or its route.
	// It is nil if the token comes in another way, which needs Name and Event.
	Contract rpc.Contract
	// Methods are the methods of the object. Which of them a token allows is only known at
	// run time: a call of another one by the iterator's rpc fails with FORBIDDEN.
	Methods []rpc.Contract
	// Name is what the names of its types begin with. The default is the path of Contract,
	// so that the types of "onSale" are OnSaleIterator and OnSaleMethods.
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
// Without values they are the constants of that type in its package, which are found if
// [Options.Source] is set. Values are written as they are sent: strings, numbers or booleans.
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

// OwnType declares that values of type T, or of the types that implement it if it is an
// interface, are of the named type, which is exported by the given module. Without a module
// the name may be any type, such as "`${number}px`". It is needed for the types of
// [Options.Serializers], and useful for types with a method MarshalJSON, which are unknown
// otherwise.
func OwnType[T any](name, module string) Own {
	return Own{goType: reflect.TypeFor[T](), name: name, from: module}
}
