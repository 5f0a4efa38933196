package rpc

import "github.com/go-orpc/durable-iterator/internal/serializer"

// Values that JSON does not have. They are what a message gives where it is
// decoded into an any, along with time.Time, *big.Int, *url.URL and NaN, and
// they may stand anywhere in what is sent.
type (
	// Undefined is JavaScript's undefined. As a member of an object it is left
	// out when it is sent.
	Undefined = serializer.Undefined
	// InvalidDate is a JavaScript Date that holds no time.
	InvalidDate = serializer.InvalidDate
	// RegExp is a JavaScript regular expression. It is not compiled.
	RegExp = serializer.RegExp
	// Set is a JavaScript Set, its elements in order of insertion. A Go
	// map[K]struct{} is sent as one and can be decoded from one.
	Set = serializer.Set
	// Map is a JavaScript Map, its entries in order of insertion. A Go map whose
	// keys are not texts is sent as one and can be decoded from one.
	Map = serializer.Map
	// MapEntry is an entry of a Map.
	MapEntry = serializer.MapEntry
	// Value is an encoded value that waits to be decoded. It may stand in any Go
	// type: decoding captures that part of the message, encoding puts it back.
	Value = serializer.Value
)

// Void is the input or output of a procedure that has none. It is sent as
// undefined, and whatever is received for it is ignored.
type Void struct{}
