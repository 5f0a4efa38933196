// Package value has the values that oRPC can send and JSON cannot.
//
// They may stand anywhere in the inputs, outputs, events and error data of package rpc, beside
// what encoding/json takes. A procedure whose type is any receives them as they are here;
// others receive them as the Go types that stand for the same:
//
//	JavaScript     sent as                                   received into any as
//	Date           time.Time                                 time.Time in UTC, or InvalidDate
//	bigint         *big.Int                                  *big.Int
//	URL            *url.URL                                  *url.URL
//	NaN            math.NaN()                                math.NaN()
//	undefined      Undefined                                 Undefined
//	RegExp         RegExp                                    RegExp
//	Set            Set, map[K]struct{}                       Set
//	Map            Map, a Go map whose keys are no strings   Map
//	File, Blob     *File                                     *File
//	a class        a type with a Serializer                  that type
//
// A [Value] is any of them, still encoded.
package value
