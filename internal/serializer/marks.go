package serializer

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// marks has the places in a JSON text whose values are not plain JSON.
type marks struct {
	// list is sorted by the offset of the value and, for one value, by path.
	list []mark

	// paths has the paths of all marks: each segment as its length and its key, then 0. The
	// length is one more than that of the key, shifted by one bit for indexBit.
	paths []byte

	files  []*value.File // of the message
	absent bool          // the message is undefined

	// Of a part of a message: its offset, and how many segments lead to it.
	base  uint32
	steps int
}

// mark is a place: an item of meta of a known type, or a file.
type mark struct {
	path uint32 // offset in paths, which has files first, then items in the order of meta
	pos  uint32 // offset of the value in the JSON; before it is found, of a segment in paths
	typ  int32  // see the constants below
}

// The types of marks: built-in types by their numbers, custom types from firstCustom, files
// below zero.
const (
	firstCustom = typeFile + 1
	dead        = math.MinInt32     // the value of a member that a later one replaces
	dropped     = math.MinInt32 + 1 // a file that a later one replaces
)

// builtIn returns the built-in type of the value at the mark, noType if the value is plain
// JSON. Custom types come on top of it.
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

// inOrder returns the marks in the order of meta and maps.
func (m marks) inOrder() []mark {
	list := slices.Clone(m.list)
	slices.SortFunc(list, func(a, b mark) int { return cmp.Compare(a.path, b.path) })
	return list
}

// appendPath appends the segments of a mark's path that follow the base, each after a comma.
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

// indexBit is set in the length of a segment that is the index of an array element.
const indexBit = 1

// keyAt returns the key at an offset in paths, and the offset of the next one.
func keyAt(paths []byte, pos uint32) (key []byte, next uint32) {
	length, n := uint64(paths[pos]), 1
	if length >= 0x80 {
		length, n = binary.Uvarint(paths[pos:])
	}
	start := pos + uint32(n)
	next = start + uint32(length>>1) - 1
	return paths[start:next:next], next
}
