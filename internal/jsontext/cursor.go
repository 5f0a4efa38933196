package jsontext

import "bytes"

// A Cursor reads valid JSON. There may be white space between tokens, but not at the
// cursor: each method leaves it before a value, a comma or a closing bracket.
type Cursor struct {
	Data []byte
	Pos  int
}

// Peek returns the byte at the cursor. It shows what kind of value begins there.
func (c *Cursor) Peek() byte { return c.Data[c.Pos] }

// Open enters the array or object at the cursor.
func (c *Cursor) Open() {
	c.Pos++
	c.space()
}

// More moves to the next element of the container that is closed by the byte end, and
// reports whether there is one; if not, it moves past the container. It must be called
// after Open or after reading an element.
func (c *Cursor) More(end byte) bool {
	if c.Data[c.Pos] <= ' ' {
		c.space()
	}
	switch c.Data[c.Pos] {
	case end:
		c.Pos++
		return false
	case ',':
		if c.Pos++; c.Data[c.Pos] <= ' ' {
			c.space()
		}
	}
	return true
}

// Key reads the key of a member and its colon. The result may share memory with the text.
func (c *Cursor) Key() []byte {
	key := c.Str()
	if c.Data[c.Pos] <= ' ' {
		c.space()
	}
	if c.Pos++; c.Data[c.Pos] <= ' ' {
		c.space()
	}
	return key
}

// Str reads a string. The result may share memory with the text.
func (c *Cursor) Str() []byte {
	start := c.Pos + 1
	raw := c.Data[start : start+bytes.IndexByte(c.Data[start:], '"')]
	if bytes.IndexByte(raw, '\\') < 0 {
		c.Pos = start + len(raw) + 1
		return raw
	}
	c.Pos = stringEnd(c.Data, c.Pos)
	raw = c.Data[start : c.Pos-1]
	return appendUnescaped(make([]byte, 0, len(raw)), raw)
}

// AppendStr reads a string and appends it to dst.
func (c *Cursor) AppendStr(dst []byte) []byte {
	start := c.Pos + 1
	c.Pos = stringEnd(c.Data, c.Pos)
	return appendUnescaped(dst, c.Data[start:c.Pos-1])
}

// Number reads a number and returns its text, which shares memory with Data.
func (c *Cursor) Number() []byte {
	start := c.Pos
	c.Pos = scalarEnd(c.Data, c.Pos)
	return c.Data[start:c.Pos]
}

// Null reads null, and reports whether there was one.
func (c *Cursor) Null() bool {
	if c.Data[c.Pos] != 'n' {
		return false
	}
	c.Pos += len("null")
	return true
}

// Raw skips a value and returns its text, which shares memory with Data.
func (c *Cursor) Raw() []byte {
	start := c.Pos
	c.Skip()
	return c.Data[start:c.Pos:c.Pos]
}

// Skip skips a value and returns how deeply it is nested.
func (c *Cursor) Skip() (depth int) {
	level := 0
	for {
		switch c.Data[c.Pos] {
		case '"':
			c.Pos = stringEnd(c.Data, c.Pos)
		case '{', '[':
			c.Pos++
			level++
			depth = max(depth, level)
		case '}', ']':
			c.Pos++
			level--
		case ',', ':', ' ', '\t', '\n', '\r':
			c.Pos++
		default:
			c.Pos = scalarEnd(c.Data, c.Pos)
		}
		if level == 0 {
			return depth
		}
	}
}

func (c *Cursor) space() {
	for c.Data[c.Pos] <= ' ' {
		c.Pos++
	}
}

// stringEnd returns the offset after the string that begins at pos.
func stringEnd(data []byte, pos int) int {
	for pos++; data[pos] != '"'; pos++ {
		if data[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

// scalarEnd returns the offset after the number, true, false or null at pos.
func scalarEnd(data []byte, pos int) int {
	for ; pos < len(data); pos++ {
		switch data[pos] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return pos
		}
	}
	return pos
}
