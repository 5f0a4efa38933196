package serializer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

// marks is what stands in a JSON text that is no plain JSON.
type marks struct {
	// list has the marks by the offset of their value and, for one value, in the order of
	// the message.
	list []mark

	// paths has the paths of all marks, each segment as its length and its key, and 0 at the
	// end. The segments that lead from an array have indexBit set in their length.
	paths []byte

	files  []*File // of the message
	absent bool    // the message is undefined

	// Of a part of a message: where it begins, and how many segments lead to it.
	base  uint32
	steps int
}

// layout is the meta and maps of a message as they are laid over its JSON. A message can
// make it no larger than a small multiple of itself, whatever its paths look like: there is
// one mark for each item, and none for the places that a path only passes.
type layout struct {
	marks
	data []byte // the JSON; null if the message is undefined

	heads []head   // of the objects that are being searched
	dead  []uint32 // offsets of the values that a later member of the same name replaces
	known int      // so many of these were known, and are sorted, when the search began
	again bool     // others were found
	err   error    // the first
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

const (
	indexBit = 1

	// maxDead bounds how many members of a message may be replaced by others.
	maxDead = 1000
	// maxSearches bounds how often replaced members make a message be searched anew.
	maxSearches = 8
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

// reset empties l and, unless there is much of it, keeps its memory if that is not shared.
func (l *layout) reset(shared bool) {
	list, paths, heads := l.list[:0], l.paths[:0], l.heads[:0]
	*l = layout{}
	if !shared && cap(list)+cap(paths)+cap(heads) <= keepLimit/16 {
		l.list, l.paths, l.heads = list, paths, heads
	}
}

// layOut checks maps and meta against the JSON and leaves the result in l, which is empty
// before.
func (s *Serializer) layOut(l *layout, env envelope) error {
	l.data, l.files, l.absent = env.json, env.files, env.json == nil
	if l.absent {
		l.data = []byte("null")
	}
	if env.meta == nil && env.maps == nil {
		if l.absent {
			l.list = append(l.list, mark{typ: typeUndefined})
		}
		return nil
	}
	size := len(env.meta) + len(env.maps)
	if max(size, len(l.data)) > math.MaxInt32/2 {
		return malformed("larger than 1 GiB")
	}
	items := countItems(env.meta) + min(countItems(env.maps), len(env.files))
	l.paths = slices.Grow(l.paths, size+1-min(items, size/4)*len("[0]")) // each path ends with a byte
	l.list = slices.Grow(l.list, 1+items)
	if l.absent {
		l.list = append(l.list, mark{typ: typeUndefined})
		l.paths = append(l.paths, 0)
	}
	if err := l.readMaps(env.maps); err != nil {
		return err
	}
	if err := s.readMeta(l, env.meta); err != nil {
		return err
	}
	return l.search()
}

// countItems returns a bound on the marks that a list of meta or maps makes. Items of one
// digit and no path are for the root, where the second one fails.
func countItems(list []byte) int {
	items, short := 0, 0
	c := cursor{data: list, pos: 1}
	if len(list) == 0 || list[0] != '[' {
		return 0
	}
	for c.more(']') {
		if len(c.raw()) <= len("[0]") {
			short++
		} else {
			items++
		}
	}
	return items + min(short, 2)
}

// readMaps reads maps, whose elements are the paths to the files in their order.
func (l *layout) readMaps(maps []byte) error {
	if maps == nil {
		return nil
	}
	if maps[0] != '[' {
		return malformed("maps is not an array")
	}
	c := cursor{data: maps, pos: 1}
	for i := 0; c.more(']'); i++ {
		switch {
		case c.peek() != '[':
			return malformed("an element of maps is not an array")
		case i >= len(l.files) || l.files[i] == nil:
			return malformed("part %d, which maps names, is missing or not a file", i)
		case l.absent:
			return malformed("maps has a path, but there is no JSON")
		}
		c.pos++
		if err := l.add(^int32(i), &c); err != nil {
			return err
		}
	}
	return nil
}

// readMeta reads meta. Items of unknown types are left out, whatever their path.
func (s *Serializer) readMeta(l *layout, meta []byte) error {
	if meta == nil {
		return nil
	}
	c := cursor{data: meta, pos: 1}
	if meta[0] != '[' {
		return malformed("meta is not an array")
	}
	atRoot := l.absent // something is
	for c.more(']') {
		if c.peek() != '[' {
			return malformed("an item of meta is not an array")
		}
		end := cursor{data: meta, pos: c.pos}
		end.skip()
		c.pos++
		if typ, known := s.readType(&c); known {
			root := c.peek() == ']'
			if root && atRoot && typ < firstCustom {
				l.unfit(mark{typ: typ})
				return l.err
			}
			atRoot = atRoot || root
			if err := l.add(typ, &c); err != nil {
				return err
			}
		}
		c.pos = end.pos
	}
	return nil
}

// readType reads the first element of an item and returns the type of its mark.
func (s *Serializer) readType(c *cursor) (typ int32, known bool) {
	if !c.more(']') || c.peek() != '-' && !isDigit(c.peek()) {
		return 0, false
	}
	n, ok := typeNumber(c.number())
	if custom, known := s.byNumber[n]; ok && known {
		return firstCustom + custom, true
	}
	return int32(n), ok && n <= typeMap
}

// typeNumber returns the number of a type as an int, and reports whether it is one.
func typeNumber(text []byte) (n int, ok bool) {
	if len(text) == 1 && isDigit(text[0]) {
		return int(text[0] - '0'), true
	}
	if len(text) > maxNumber {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
		return 0, false
	}
	return int(f), true
}

// maxNumber is longer than any number that stands for a type or an index.
const maxNumber = 32

// add adds a mark and reads its path, whose segments come next.
func (l *layout) add(typ int32, c *cursor) error {
	path := uint32(len(l.paths))
	for c.more(']') {
		start := len(l.paths)
		if err := l.addKey(c); err != nil {
			return err
		}
		var length [binary.MaxVarintLen64]byte
		n := binary.PutUvarint(length[:], uint64(len(l.paths)-start+1)<<1)
		l.paths = slices.Insert(l.paths, start, length[:n]...)
	}
	l.paths = append(l.paths, 0)
	l.list = append(l.list, mark{path: path, pos: path, typ: typ})
	return nil
}

// addKey reads a segment as the key that it is in JavaScript, where an index is a key too.
func (l *layout) addKey(c *cursor) error {
	switch first := c.peek(); {
	case first == '"':
		l.paths = c.appendStr(l.paths)
		return nil
	case isDigit(first) || first == '-':
		text := c.number()
		if len(text) <= 15 && bytes.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0 {
			l.paths = append(l.paths, text...)
			return nil
		}
		start := len(l.paths)
		n, err := strconv.ParseFloat(string(text[:min(len(text), maxNumber)]), 64)
		if err == nil && len(text) <= maxNumber {
			l.paths = appendFloat(l.paths, n, 64)
		}
		// A short number of many digits, such as 1e20, is no index, and would be a long key.
		if grown := len(l.paths) - start; grown == 0 || grown > len(text)+1 {
			return malformed("a path has a number out of range")
		}
		return nil
	}
	return malformed("a path has a segment that is neither text nor number")
}

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

// ended reports whether the path of a mark that is being searched for leads no further.
func (l *layout) ended(at mark) bool { return l.paths[at.pos] == 0 }

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

// comparePaths orders marks by what is left of their paths, and then as in the message.
func (l *layout) comparePaths(a, b mark) int {
	for i, j := a.pos, b.pos; ; {
		var x, y []byte
		x, i = keyAt(l.paths, i)
		y, j = keyAt(l.paths, j)
		if order := compareKeys(x, y); order != 0 {
			return order
		}
		if x == nil {
			return cmp.Compare(a.path, b.path)
		}
	}
}

func compareOffsets(a, b mark) int {
	return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.path, b.path))
}
