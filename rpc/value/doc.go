// Package value has the values that oRPC can send and JSON cannot.
//
// They may stand anywhere in the inputs, outputs, events and error data of package rpc, beside
// what encoding/json takes. What is received into an any is of the first type in each line:
//
//	Date        time.Time; received into any in UTC, or as InvalidDate
//	bigint      *big.Int
//	URL         *url.URL
//	NaN         math.NaN()
//	undefined   Undefined
//	/a/g        RegExp
//	Set         Set, or map[K]struct{}
//	Map         Map, or a Go map whose keys are no strings
//	File, Blob  *File
//	a class     a type with a Serializer
//
// A [Value] is any of them, still encoded.
package value
