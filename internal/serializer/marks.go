package serializer

import (
	"bytes"
	"math"
	"strconv"
)

// marks is the meta and maps of a message, laid over the message's JSON: a tree with
// one mark for each place that a path passes.
type marks struct {
	data   []byte // the JSON; null if the message is undefined
	root   *mark  // nil: no meta and no files
	kids   map[edge]*mark
	items  []item
	files  []*File // of the message
	places []*mark // of the files that maps names: the first ones
}

// edge leads from a mark to the one below. One map for all marks costs a hostile
// message far less memory than one map each.
type edge struct {
	from *mark
	key  string
}

// mark is one place in the JSON. Where a text has equal keys, the last one is meant.
type mark struct {
	up          *mark
	first, next *mark // children; the next sibling
	key         string
	start, end  int       // of the value in the JSON; -1 while it has not been found
	typ         int       // built-in type, noType for plain JSON
	file        int       // the number of the file that stands here, from 1; 0: none
	customs     []*Custom // applied to the value afterwards, in this order
	items       []int     // what meta says of this very place: indexes in marks.items
	pairs       bool      // an array whose elements are arrays or objects only
	absent      bool      // the root of a message without JSON
}

// item is one element of meta whose type is known.
type item struct {
	typ  int
	mark *mark
}

// readMarks checks maps and meta against the JSON. Files take their places first. The
// result is left in m, which is empty before.
func (s *Serializer) readMarks(m *marks, env envelope) error {
	m.data, m.files = env.json, env.files
	if env.json == nil {
		m.data = []byte("null")
		m.root = newMark(nil, "")
		m.root.typ, m.root.absent = typeUndefined, true
		m.items = append(m.items, item{typ: typeUndefined, mark: m.root})
		m.root.items = append(m.root.items, 0)
	}
	given := len(m.items)
	if err := m.readMaps(env.maps); err != nil {
		return err
	}
	if err := s.readItems(m, env.meta); err != nil {
		return err
	}
	if len(m.items) == given && len(m.places) == 0 {
		return nil
	}
	c := cursor{data: m.data}
	m.locate(&c, m.root)
	if err := m.putFiles(); err != nil {
		return err
	}
	for i := given; i < len(m.items); i++ {
		if err := s.apply(m, i); err != nil {
			return err
		}
	}
	return nil
}

func newMark(up *mark, key string) *mark {
	return &mark{up: up, key: key, start: -1, end: -1, typ: noType}
}

// readItems plants the tree. Items of unknown types are left out, whatever their path.
func (s *Serializer) readItems(m *marks, meta []byte) error {
	if meta == nil {
		return nil
	}
	c := cursor{data: meta, pos: 1}
	if meta[0] != '[' {
		return malformed("meta is not an array")
	}
	for c.more(']') {
		if c.peek() != '[' {
			return malformed("an item of meta is not an array")
		}
		end := cursor{data: meta, pos: c.pos}
		end.skip()
		c.pos++
		if typ, known := s.readType(&c); known {
			place, err := m.readPath(&c)
			if err != nil {
				return err
			}
			place.items = append(place.items, len(m.items))
			m.items = append(m.items, item{typ: typ, mark: place})
		}
		c.pos = end.pos
	}
	return nil
}

// readType reads the first element of an item.
func (s *Serializer) readType(c *cursor) (typ int, known bool) {
	if !c.more(']') || c.peek() != '-' && !isDigit(c.peek()) {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(c.number()), 64)
	if err != nil || n < 0 || n > math.MaxInt32 || n != math.Trunc(n) {
		return 0, false
	}
	typ = int(n)
	return typ, typ <= typeMap || s.byNumber[typ] != nil
}

// readPath reads the segments of an item of meta, or of an element of maps.
func (m *marks) readPath(c *cursor) (*mark, error) {
	if m.root == nil {
		m.root = newMark(nil, "")
	}
	place := m.root
	for depth := 0; c.more(']'); depth++ {
		if depth == maxDepth {
			return nil, malformed("a path is longer than %d", maxDepth)
		}
		key, err := readSegment(c)
		if err != nil {
			return nil, err
		}
		kid := m.kids[edge{place, string(key)}]
		if kid == nil {
			kid = newMark(place, string(key))
			kid.next, place.first = place.first, kid
			if m.kids == nil {
				m.kids = make(map[edge]*mark)
			}
			m.kids[edge{place, kid.key}] = kid
		}
		place = kid
	}
	return place, nil
}

// readSegment reads a segment as the key that it is in JavaScript, where an index is a key too.
func readSegment(c *cursor) ([]byte, error) {
	switch first := c.peek(); {
	case first == '"':
		return c.str(), nil
	case isDigit(first) || first == '-':
		text := c.number()
		if len(text) <= 15 && bytes.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0 {
			return text, nil
		}
		n, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return nil, malformed("a path has a number out of range")
		}
		return appendFloat(nil, n, 64), nil
	}
	return nil, malformed("a path has a segment that is neither text nor number")
}

// kid gives the mark of a member of the value at m.
func (m *marks) kid(at *mark, key []byte) *mark {
	if at == nil || at.first == nil {
		return nil
	}
	return m.kids[edge{at, string(key)}]
}

// element gives the mark of an element of the array at m.
func (m *marks) element(at *mark, index int) *mark {
	if at == nil || at.first == nil {
		return nil
	}
	var buf [20]byte
	return m.kid(at, strconv.AppendInt(buf[:0], int64(index), 10))
}

// locate walks the value at c and notes where the marks from at on stand.
func (m *marks) locate(c *cursor, at *mark) {
	at.start = c.pos
	switch {
	case c.peek() == '[':
		at.pairs = true
		c.pos++
		for i := 0; c.more(']'); i++ {
			if c.peek() != '[' && c.peek() != '{' {
				at.pairs = false
			}
			m.locateKid(c, m.element(at, i))
		}
	case c.peek() == '{' && at.first != nil:
		c.pos++
		for c.more('}') {
			key := c.key()
			m.locateKid(c, m.kid(at, key))
		}
	default:
		c.skip()
	}
	at.end = c.pos
}

func (m *marks) locateKid(c *cursor, kid *mark) {
	if kid == nil {
		c.skip()
	} else {
		m.locate(c, kid)
	}
}

// capture makes a Value of a part of the message: its text, how deep that is nested, and its mark.
func (m *marks) capture(s *Serializer, text []byte, depth int, at *mark) Value {
	if at != nil && at.absent && len(at.customs) == 0 {
		return Value{s: s}
	}
	v := Value{s: s, json: text, depth: depth}
	if at != nil {
		maps, files := m.maps(at)
		v.beside = &beside{meta: m.meta(at), maps: maps, files: files}
	}
	return v
}
