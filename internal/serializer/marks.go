package serializer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// marks is what stands in a JSON text that is no plain JSON.
type marks struct {
	// list has the marks by the offset of their value and, for one value, in the order of
	// the message.
	list []mark

	// paths has the paths of all marks, each segment as its length and its key, and 0 at the
	// end. The segments that lead from an array have indexBit set in their length.
	paths []byte

	files  []*value.File // of the message
	absent bool          // the message is undefined

	// Of a part of a message: where it begins, and how many segments lead to it.
	base  uint32
	steps int
}

// mark is a file or an item of meta of a known type.
type mark struct {
	path uint32 // offset in paths; it grows in the order of the message, files first
	pos  uint32 // of the value in the JSON; before it is found, of the next segment in paths
	typ  int32  // see the constants below
}

// The types of marks: built-in types by their numbers, custom types from firstCustom, files
// below zero.
const (
	firstCustom = typeFile + 1
	dead        = math.MinInt32     // the member's value does not count
	dropped     = math.MinInt32 + 1 // a file that another one has replaced
)

// builtIn returns the built-in type of the value that the mark stands at, noType if it is
// plain JSON below the custom types that it may have.
func (at *mark) builtIn() int {
	switch {
	case at == nil || at.typ >= firstCustom:
		return noType
	case at.typ < 0:
		return typeFile
	}
	return int(at.typ)
}

// is reports whether the value at the mark has the built-in type typ.
func (at *mark) is(typ int) bool { return at != nil && at.builtIn() == typ }

// inOrder returns the marks in the order of the message.
func (m marks) inOrder() []mark {
	list := slices.Clone(m.list)
	slices.SortFunc(list, func(a, b mark) int { return cmp.Compare(a.path, b.path) })
	return list
}

// appendPath appends the segments of a mark's path from the base on, each with a comma before.
func (m marks) appendPath(dst []byte, at mark) []byte {
	pos := at.path
	for i := 0; m.paths[pos] != 0; i++ {
		key, next := keyAt(m.paths, pos)
		switch {
		case i < m.steps:
		case m.paths[pos]&indexBit != 0:
			dst = append(append(dst, ','), key...)
		default:
			dst = jsontext.AppendString(append(dst, ','), key)
		}
		pos = next
	}
	return dst
}

// indexBit in the length of a segment means that the segment leads from an array.
const indexBit = 1

// keyAt returns the key at an offset in paths and the offset behind it. At the end of a
// path the key is nil.
func keyAt(paths []byte, pos uint32) (key []byte, next uint32) {
	length, n := uint64(paths[pos]), 1
	if length >= 0x80 {
		length, n = binary.Uvarint(paths[pos:])
	}
	if length == 0 {
		return nil, pos
	}
	start := pos + uint32(n)
	next = start + uint32(length>>1) - 1
	return paths[start:next:next], next
}

// compareKeys puts a path before those that go on from its end, and smaller indexes first.
func compareKeys(a, b []byte) int {
	if len(a) != len(b) || len(a) == 0 {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(btoi(a != nil), btoi(b != nil)))
	}
	return bytes.Compare(a, b)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareOffsets(a, b mark) int {
	return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.path, b.path))
}
