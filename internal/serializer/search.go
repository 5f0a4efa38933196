package serializer

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// layout finds the places in a message's JSON that its meta and maps are about. It holds a mark
// per item, and nothing for the places that a path only passes, so that no message can make it
// larger than a small multiple of itself.
type layout struct {
	marks
	data []byte // the JSON; null if the message is undefined

	heads []head   // of the objects that are being searched
	dead  []uint32 // offsets of the values that a later member of the same name replaces
	known int      // how many of dead were known when the search began; these are sorted
	again bool     // more of them were found
	err   error    // the first error
}

const (
	// maxDead is how many members may be replaced by later ones.
	maxDead = 1000
	// maxSearches is how often a message may be searched because of them.
	maxSearches = 8
)

// search finds the value of each mark in one pass over the JSON, and checks its type. As in
// JavaScript, the last of several members of the same name counts: if there is a mark in such a
// member, the JSON is searched again, without the members that are replaced.
func (l *layout) search() error {
	if !slices.IsSortedFunc(l.list, l.comparePaths) {
		slices.SortFunc(l.list, l.comparePaths)
	}
	for searches := 1; ; searches++ {
		l.again, l.err, l.known = false, nil, len(l.dead)
		l.place(&jsontext.Cursor{Data: l.data}, l.list, math.MaxUint32)
		if !l.again {
			break
		}
		if searches == maxSearches || len(l.dead) > maxDead {
			return malformed("too many members have the same name")
		}
		slices.Sort(l.dead)
		for i := range l.list {
			l.list[i].pos = l.list[i].path
		}
	}
	if l.err != nil {
		return l.err
	}
	l.list = slices.DeleteFunc(l.list, func(at mark) bool { return at.typ == dropped })
	for _, pos := range l.dead {
		l.list = append(l.list, mark{pos: pos, typ: dead})
	}
	slices.SortFunc(l.list, func(a, b mark) int { return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.path, b.path)) })
	return nil
}

// missing records that the path of a mark does not exist.
func (l *layout) missing(at mark) {
	if l.err == nil {
		key, _ := keyAt(l.paths, at.pos)
		l.err = malformed("a path of meta leads to %.40q, which does not exist", key)
	}
}

// unfit records that the type of a mark does not fit its value.
func (l *layout) unfit(at mark) {
	if l.err == nil {
		l.err = malformed("meta type %d (%s) does not fit its value", at.typ, typeNames[at.typ])
	}
}

// place skips the value at c and sets the offsets of the marks in it. All paths in list have led
// to this value; those that end here are sorted first. Meta works from the inside out: a mark
// must come before all marks of the values that it is in. Over is the path of the first of these.
func (l *layout) place(c *jsontext.Cursor, list []mark, over uint32) {
	own := 0
	for own < len(list) && l.ended(list[own]) {
		own++
		l.check(c, list[:own], over)
	}
	start := uint32(c.Pos)
	for i := range list[:own] {
		list[i].pos = start
	}
	entries := own > 0 && list[0].typ == typeMap
	if own > 0 {
		over = list[0].path
	}
	rest := list[own:]
	switch {
	case c.Peek() == '[' && (entries || len(rest) > 0):
		l.placeElements(c, rest, over, entries)
	case c.Peek() == '{' && len(rest) > 0:
		l.placeMembers(c, rest, over)
	default:
		if len(rest) > 0 {
			l.missing(rest[0])
		}
		c.Skip()
	}
	if own > 0 && list[0].typ < 0 { // a file has no members
		for i := range rest {
			rest[i].typ = dropped
		}
	}
}

// check checks the last of the marks of the value at c.
func (l *layout) check(c *jsontext.Cursor, own []mark, over uint32) {
	last := own[len(own)-1]
	switch {
	case last.path > over && l.err == nil:
		l.err = malformed("a path of meta leads into a value that is already decoded")
	case last.typ >= firstCustom:
	case last.typ < 0:
		if len(own) > 1 { // the last file at a place counts
			own[len(own)-2].typ = dropped
		}
	case l.absent && len(own) == 1:
	case len(own) > 1 || !fits(int(last.typ), *c):
		l.unfit(last)
	}
}

// fits reports whether the value at c can be of a built-in type. The elements of a map are
// checked later, URLs and regular expressions when they are decoded.
func fits(typ int, c jsontext.Cursor) bool {
	first := c.Peek()
	switch typ {
	case typeBigInt:
		return first == '"' && isBigInt(c.Str())
	case typeDate:
		return first == '"' || first == 'n'
	case typeNaN, typeUndefined:
		return first == 'n'
	case typeURL, typeRegExp:
		return first == '"'
	default: // typeSet, typeMap
		return first == '['
	}
}

// placeElements is place for the elements of an array. The entries of a map must be arrays or
// objects without marks of their own.
func (l *layout) placeElements(c *jsontext.Cursor, list []mark, over uint32, entries bool) {
	c.Pos++
	for i := 0; c.More(']'); i++ {
		group := 0
		if len(list) > 0 {
			key, _ := keyAt(l.paths, list[0].pos)
			var buf [20]byte
			if bytes.Equal(key, strconv.AppendInt(buf[:0], int64(i), 10)) {
				group = l.group(list)
				l.advance(list[:group], indexBit)
			}
		}
		if entries && (c.Peek() != '[' && c.Peek() != '{' || group > 0 && l.ended(list[0])) {
			l.unfit(mark{typ: typeMap})
		}
		if group == 0 {
			c.Skip()
			continue
		}
		l.place(c, list[:group], over)
		list = list[group:]
	}
	if len(list) > 0 {
		l.missing(list[0])
	}
}

// advance moves marks to their next segment but one. All have the same next segment.
func (l *layout) advance(list []mark, bit byte) {
	for i := range list {
		pos := list[i].pos
		l.paths[pos] = l.paths[pos]&^indexBit | bit
		_, list[i].pos = keyAt(l.paths, pos)
	}
}

// group returns how many marks at the front of list have the same next segment.
func (l *layout) group(list []mark) int {
	key, _ := keyAt(l.paths, list[0].pos)
	for i, at := range list {
		if other, _ := keyAt(l.paths, at.pos); !bytes.Equal(other, key) {
			return i
		}
	}
	return len(list)
}

// head is a group of marks with the same next segment, a member of an object.
type head struct {
	first int32  // index of the first mark; the last one is before that of the next head
	key   uint32 // offset of the segment in paths
	at    uint32 // offset of the member's value in the JSON; 0 if it has not been found
}

// placeMembers is place for the members of an object.
func (l *layout) placeMembers(c *jsontext.Cursor, list []mark, over uint32) {
	base := len(l.heads)
	l.addHeads(list)
	c.Pos++
	for c.More('}') {
		name := c.Key()
		pos := uint32(c.Pos)
		i, found := slices.BinarySearchFunc(l.heads[base:], name, l.compareHead)
		if !found || l.isDead(pos) {
			c.Skip()
			continue
		}
		h := &l.heads[base+i]
		before := h.at
		h.at = pos
		if before > 0 { // the member that was found before does not count
			l.again = true
			if len(l.dead) <= maxDead {
				l.dead = append(l.dead, before)
			}
			c.Skip()
			continue
		}
		end := len(list)
		if base+i+1 < len(l.heads) {
			end = int(l.heads[base+i+1].first)
		}
		group := list[h.first:end]
		l.advance(group, 0)
		l.place(c, group, over)
	}
	for _, h := range l.heads[base:] {
		if h.at == 0 {
			l.missing(mark{pos: h.key})
			break
		}
	}
	l.heads = l.heads[:base]
}

// addHeads adds the heads of list, which are sorted by key, as list is.
func (l *layout) addHeads(list []mark) {
	count := 0
	for rest := list; len(rest) > 0; rest = rest[l.group(rest):] {
		count++
	}
	l.heads = slices.Grow(l.heads, count)
	for i := 0; i < len(list); i += l.group(list[i:]) {
		l.heads = append(l.heads, head{first: int32(i), key: list[i].pos})
	}
}

func (l *layout) compareHead(h head, name []byte) int {
	key, _ := keyAt(l.paths, h.key)
	return compareKeys(key, name)
}

func compareKeys(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}

func (l *layout) isDead(pos uint32) bool {
	_, found := slices.BinarySearch(l.dead[:l.known], pos)
	return found
}

// comparePaths orders marks by the rest of their paths, shorter keys first, and marks of the same
// place in the order of the message. Indexes are in numerical order, then.
func (l *layout) comparePaths(a, b mark) int {
	for i, j := a.pos, b.pos; ; {
		if l.paths[i] == 0 || l.paths[j] == 0 {
			return cmp.Or(cmp.Compare(min(l.paths[i], 1), min(l.paths[j], 1)), cmp.Compare(a.path, b.path))
		}
		var x, y []byte
		x, i = keyAt(l.paths, i)
		y, j = keyAt(l.paths, j)
		if order := compareKeys(x, y); order != 0 {
			return order
		}
	}
}

// ended reports whether a mark that is being searched for has no further segment.
func (l *layout) ended(at mark) bool { return l.paths[at.pos] == 0 }
