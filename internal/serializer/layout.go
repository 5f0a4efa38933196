package serializer

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// reset empties l. It keeps its memory for reuse, unless that is shared or large.
func (l *layout) reset(shared bool) {
	list, paths, heads := l.list[:0], l.paths[:0], l.heads[:0]
	*l = layout{}
	if !shared && cap(list)+cap(paths)+cap(heads) <= keepLimit/16 {
		l.list, l.paths, l.heads = list, paths, heads
	}
}

// layOut reads the maps and meta of a message, and finds their places in its JSON. The result is
// left in l, which must be empty.
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

// countItems returns an upper bound of the number of marks for meta or maps. Items with one digit
// and no path are for the root, where the second one is an error.
func countItems(list []byte) int {
	items, short := 0, 0
	c := jsontext.Cursor{Data: list, Pos: 1}
	if len(list) == 0 || list[0] != '[' {
		return 0
	}
	for c.More(']') {
		if len(c.Raw()) <= len("[0]") {
			short++
		} else {
			items++
		}
	}
	return items + min(short, 2)
}

// readMaps reads maps, whose elements are the paths of the files in their order.
func (l *layout) readMaps(maps []byte) error {
	if maps == nil {
		return nil
	}
	if maps[0] != '[' {
		return malformed("maps is not an array")
	}
	c := jsontext.Cursor{Data: maps, Pos: 1}
	for i := 0; c.More(']'); i++ {
		switch {
		case c.Peek() != '[':
			return malformed("an element of maps is not an array")
		case i >= len(l.files) || l.files[i] == nil:
			return malformed("part %d, which maps names, is missing or not a file", i)
		case l.absent:
			return malformed("maps has a path, but there is no JSON")
		}
		c.Pos++
		if err := l.add(^int32(i), &c); err != nil {
			return err
		}
	}
	return nil
}

// readMeta reads meta. Items of unknown types are ignored, whatever their path.
func (s *Serializer) readMeta(l *layout, meta []byte) error {
	if meta == nil {
		return nil
	}
	c := jsontext.Cursor{Data: meta, Pos: 1}
	if meta[0] != '[' {
		return malformed("meta is not an array")
	}
	atRoot := l.absent // whether the root has a mark
	for c.More(']') {
		if c.Peek() != '[' {
			return malformed("an item of meta is not an array")
		}
		end := jsontext.Cursor{Data: meta, Pos: c.Pos}
		end.Skip()
		c.Pos++
		if typ, known := s.readType(&c); known {
			root := c.Peek() == ']'
			if root && atRoot && typ < firstCustom {
				l.unfit(mark{typ: typ})
				return l.err
			}
			atRoot = atRoot || root
			if err := l.add(typ, &c); err != nil {
				return err
			}
		}
		c.Pos = end.Pos
	}
	return nil
}

// readType reads the first element of an item and returns the type of its mark.
func (s *Serializer) readType(c *jsontext.Cursor) (typ int32, known bool) {
	if !c.More(']') || c.Peek() != '-' && !jsontext.IsDigit(c.Peek()) {
		return 0, false
	}
	n, ok := typeNumber(c.Number())
	if custom, known := s.byNumber[n]; ok && known {
		return firstCustom + custom, true
	}
	return int32(n), ok && n <= typeMap
}

// typeNumber parses the number of a type, and reports whether it can be one.
func typeNumber(text []byte) (n int, ok bool) {
	if len(text) == 1 && jsontext.IsDigit(text[0]) {
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

// add adds a mark whose path is the rest of the array that c is in.
func (l *layout) add(typ int32, c *jsontext.Cursor) error {
	path := uint32(len(l.paths))
	for c.More(']') {
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

// addKey adds a segment to paths, as JavaScript's property key: an index is a key, too.
func (l *layout) addKey(c *jsontext.Cursor) error {
	switch first := c.Peek(); {
	case first == '"':
		l.paths = c.AppendStr(l.paths)
		return nil
	case jsontext.IsDigit(first) || first == '-':
		text := c.Number()
		if len(text) <= 15 && bytes.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0 {
			l.paths = append(l.paths, text...)
			return nil
		}
		start := len(l.paths)
		n, err := strconv.ParseFloat(string(text[:min(len(text), maxNumber)]), 64)
		if err == nil && len(text) <= maxNumber {
			l.paths = jsontext.AppendFloat(l.paths, n, 64)
		}
		// A number such as 1e20 is not an index, and its key would be longer than itself.
		if grown := len(l.paths) - start; grown == 0 || grown > len(text)+1 {
			return malformed("a path has a number out of range")
		}
		return nil
	}
	return malformed("a path has a segment that is neither a string nor a number")
}
