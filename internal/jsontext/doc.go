// Package jsontext scans, reads and writes JSON text.
//
// A [Scanner] checks text that may not be JSON. A [Cursor] then reads it without checking
// it again and without copying it; on text that was not checked it panics or returns wrong
// results. [AppendString] and [AppendFloat] write the same text as JavaScript's
// JSON.stringify. encoding/json does not: it escapes U+2028, U+2029, <, > and &.
package jsontext
