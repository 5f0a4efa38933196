// Package jsontext scans, reads and writes JSON text.
//
// A [Scanner] checks text of which nothing is known. A [Cursor] then reads it without
// checking it again and without copying it; it panics or reads nonsense on text that has not
// been checked. [AppendString] and [AppendFloat] write what JavaScript's JSON.stringify
// writes, which encoding/json does not: that escapes U+2028, U+2029, <, > and &.
package jsontext
