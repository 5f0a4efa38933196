// Package typescript generates a TypeScript module with the types of contracts, for pages
// that call a server of this library with @orpc/client or with the client in client/js.
//
// A short program, run by go generate, imports the package of the contracts:
//
//	//go:generate go run ./typescript
//
//	func main() {
//		err := typescript.WriteFile("web/contract.ts", &typescript.Options{
//			Contracts: []rpc.Contract{chat.Send},
//			Iterators: []typescript.Iterator{{Contract: chat.Join, Methods: []rpc.Contract{chat.Say, chat.Who}}},
//			Enums:     []typescript.Enum{typescript.EnumOf(chat.Online, chat.Away)},
//			Source:    ".",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//	}
//
// The module exports the client type, RouterClient, the inputs and outputs of its procedures,
// a type for each iterator and its methods, for each declared error, and for each named Go type
// that they use. It imports types only. In oRPC a page infers these types from the router.
//
// # Types
//
// A type describes the values on the wire, in both directions:
//
//	bool                        boolean
//	numbers, json.Number        number; above 2^53 they lose digits, and ±Inf is null
//	string, []byte              string, of []byte in base64
//	*big.Int                    bigint
//	time.Time                   Date
//	*url.URL                    URL
//	value.RegExp                RegExp
//	*value.File                 File
//	[]T, [N]T                   T[], and a tuple for an array of at most 4
//	map[string]T                Record<string, T>
//	map[K]T, value.Map          Map<K, T>
//	map[K]struct{}, value.Set   Set<K>
//	*T                          T | null
//	a struct                    an interface, with the fields that encoding/json would send
//	any, value.Value            unknown
//	MarshalText                 string
//	MarshalJSON                 unknown, unless Options.Own names a type
//	a Serializer                what Options.Own names
//	rpc.Void                    void
//	rpc.Events                  AsyncIteratorClass, as an input AsyncIteratorObject
//	durableiterator.Subscription    ClientDurableIterator
//
// Where Go can send nil, the type includes null: see [Options.NoNil]. A field with the tag
// option omitempty or omitzero is optional. A server also accepts objects without the other
// members, which are then zero, but a type for both directions cannot show that.
//
// # Names
//
// Types have their Go names. The name of a generic type includes those of its arguments:
// Page[User] is PageUser. If two packages have types with the same name, or TypeScript has
// one, the name of the package is put before it. Names do not depend on the order of maps or
// of initialization, so the same contracts always make the same module.
//
// Reflection finds neither constants nor comments. The values of an enum are declared with
// [EnumOf]; comments and the names of constants are read from the source if
// [Options.Source] is set. A comment of a contract is used if it begins with the name of
// its variable.
package typescript
