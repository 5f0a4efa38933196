package serializer

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

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

const (
	// maxDead bounds how many members of a message may be replaced by others.
	maxDead = 1000
	// maxSearches bounds how often replaced members make a message be searched anew.
	maxSearches = 8
)

// search finds the values that the marks stand at, in one pass over the JSON, and checks
// that they can. As in JavaScript the last of several members with one name counts, so a
// message where meta is about such members is searched anew without the others.
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
	slices.SortFunc(l.list, compareOffsets)
	return nil
}

// missing notes that the path of a mark leads no further.
func (l *layout) missing(at mark) {
	if l.err == nil {
		key, _ := keyAt(l.paths, at.pos)
		l.err = malformed("a path of meta leads to %.40q, which does not exist", key)
	}
}

// unfit notes that the type of a mark is not one for its value.
func (l *layout) unfit(at mark) {
	if l.err == nil {
		l.err = malformed("meta type %d (%s) does not fit its value", at.typ, typeNames[at.typ])
	}
}

// place passes over the value at c, to which the paths of all marks in list have led, and
// notes where the marks stand that are for it or for what it holds. A value that has a mark
// is no plain one from then on: the order of the message must have the marks below it first.
// Over is the path of the first mark above, whose marks all come later.
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

// check checks the last of the marks at the value at c.
func (l *layout) check(c *jsontext.Cursor, own []mark, over uint32) {
	last := own[len(own)-1]
	switch {
	case last.path > over && l.err == nil:
		l.err = malformed("a path of meta leads into a value that is already decoded")
	case last.typ >= firstCustom:
	case last.typ < 0:
		if len(own) > 1 { // the last file for a place stays
			own[len(own)-2].typ = dropped
		}
	case l.absent && len(own) == 1:
	case len(own) > 1 || !fits(int(last.typ), *c):
		l.unfit(last)
	}
}

// fits makes the strict checks of the built-in types, except those of the elements of a map,
// and of the texts of URLs and regular expressions, which fail when they are decoded.
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

// placeElements is place for what an array holds. Entries are the elements of a map: arrays
// or objects that are still plain.
func (l *layout) placeElements(c *jsontext.Cursor, list []mark, over uint32, entries bool) {
	c.Pos++
	for i := 0; c.More(']'); i++ {
		group := 0
		if len(list) > 0 {
			key, _ := keyAt(l.paths, list[0].pos)
			var buf [20]byte
			if bytes.Equal(key, strconv.AppendInt(buf[:0], int64(i), 10)) {
				group = l.group(list)
				l.step(list[:group], indexBit)
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

// step moves marks behind their next segment, which is the same for all.
func (l *layout) step(list []mark, bit byte) {
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

// head stands for the marks that are for one member of an object.
type head struct {
	first int32  // the index of the first of them; they end where the next head's begin
	key   uint32 // of the member: offset in paths
	at    uint32 // the member's value in the JSON; 0 while it has not been found
}

// placeMembers is place for what an object holds.
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
		if before > 0 { // the member that was found first does not count
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
		l.step(group, 0)
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

// addHeads adds the heads of list, sorted by their keys as list is.
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
	return cmp.Or(cmp.Compare(len(key), len(name)), bytes.Compare(key, name))
}

func (l *layout) isDead(pos uint32) bool {
	_, found := slices.BinarySearch(l.dead[:l.known], pos)
	return found
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

// ended reports whether the path of a mark that is being searched for leads no further.
func (l *layout) ended(at mark) bool { return l.paths[at.pos] == 0 }
