package serializer

import "bytes"

// cursor walks through a text that is known to be JSON without white space.
type cursor struct {
	data []byte
	pos  int
}

func (c *cursor) peek() byte { return c.data[c.pos] }

// more moves to the next element of the container that is ended by the byte end, and
// reports whether there is one. Before the first call the cursor stands behind the
// opening bracket, before the others behind an element.
func (c *cursor) more(end byte) bool {
	switch c.data[c.pos] {
	case end:
		c.pos++
		return false
	case ',':
		c.pos++
	}
	return true
}

// appendStr reads a string and appends it.
func (c *cursor) appendStr(dst []byte) []byte {
	start := c.pos + 1
	c.pos = stringEnd(c.data, c.pos)
	return appendUnescaped(dst, c.data[start:c.pos-1])
}

// str reads a string. The result may be a part of the text: it is only to be read.
func (c *cursor) str() []byte {
	start := c.pos + 1
	raw := c.data[start : start+bytes.IndexByte(c.data[start:], '"')]
	if bytes.IndexByte(raw, '\\') < 0 {
		c.pos = start + len(raw) + 1
		return raw
	}
	c.pos = stringEnd(c.data, c.pos)
	raw = c.data[start : c.pos-1]
	return appendUnescaped(make([]byte, 0, len(raw)), raw)
}

// key reads the key of a member and its colon.
func (c *cursor) key() []byte {
	key := c.str()
	c.pos++
	return key
}

// number reads a number as text.
func (c *cursor) number() []byte {
	start := c.pos
	c.pos = scalarEnd(c.data, c.pos)
	return c.data[start:c.pos]
}

// skip passes over a value and tells how deep it is nested.
func (c *cursor) skip() (deepest int) {
	depth := 0
	for {
		switch c.data[c.pos] {
		case '"':
			c.pos = stringEnd(c.data, c.pos)
		case '{', '[':
			c.pos++
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			c.pos++
			depth--
		case ',', ':':
			c.pos++
		default:
			c.pos = scalarEnd(c.data, c.pos)
		}
		if depth == 0 {
			return deepest
		}
	}
}

// raw passes over a value and returns its text.
func (c *cursor) raw() []byte {
	start := c.pos
	c.skip()
	return c.data[start:c.pos:c.pos]
}

// stringEnd gives the position behind the string that begins at pos.
func stringEnd(data []byte, pos int) int {
	for pos++; data[pos] != '"'; pos++ {
		if data[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

// scalarEnd gives the position behind the number, true, false or null at pos.
func scalarEnd(data []byte, pos int) int {
	for ; pos < len(data); pos++ {
		switch data[pos] {
		case ',', '}', ']':
			return pos
		}
	}
	return pos
}
