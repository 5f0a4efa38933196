// Package value defines types for the values that oRPC can send but JSON cannot.
//
// They may be used anywhere in the inputs, outputs, events and error data of package rpc, in
// addition to the types that encoding/json supports. A value that is received into an any has
// the first type in its line:
//
//	Date        time.Time; received into any in UTC, or as InvalidDate
//	bigint      *big.Int
//	URL         *url.URL
//	NaN         math.NaN()
//	undefined   Undefined
//	/a/g        RegExp
//	Set         Set, or map[K]struct{}
//	Map         Map, or a Go map whose keys are not strings
//	File, Blob  *File
//	a class     a type with a Serializer
//
// A [Value] is any of them, still encoded.
package value
