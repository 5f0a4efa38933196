package serializer

// scanner checks that a text is JSON. It is the only part that sees unchecked
// syntax: what comes after it relies on it.
type scanner struct {
	data    []byte
	pos     int
	limit   int // of depth
	depth   int
	deepest int  // the largest depth so far
	spaced  bool // white space was seen
}

func (s *scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return malformed("unexpected end of JSON")
	}
	return malformed("unexpected %q at offset %d", s.data[s.pos], s.pos)
}

// peek gives the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.unexpected()
	}
	s.pos++
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
		s.spaced = true
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '{':
		return s.container('}')
	case c == '[':
		return s.container(']')
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case c == '-' || isDigit(c):
		return s.number()
	}
	return s.unexpected()
}

func (s *scanner) container(end byte) error {
	if s.depth++; s.depth > s.limit {
		return malformed("nested deeper than %d", s.limit)
	}
	s.deepest = max(s.deepest, s.depth)
	s.pos++
	s.space()
	if s.peek() == end {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if end == '}' {
			if err := s.key(); err != nil {
				return err
			}
		}
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		if s.peek() == end {
			s.pos++
			s.depth--
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
		s.space()
	}
}

// key reads the key of a member, its colon and the space up to the value.
func (s *scanner) key() error {
	if s.peek() != '"' {
		return s.unexpected()
	}
	if err := s.str(); err != nil {
		return err
	}
	s.space()
	if err := s.take(':'); err != nil {
		return err
	}
	s.space()
	return nil
}

func (s *scanner) literal(want string) error {
	for i := range len(want) {
		if err := s.take(want[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) str() error {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			s.pos++
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ':
			return s.unexpected()
		}
	}
	return s.unexpected()
}

// escape checks what follows a backslash and stops at its last byte.
func (s *scanner) escape() error {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.pos++
			if !isHex(s.peek()) {
				return s.unexpected()
			}
		}
		return nil
	}
	return s.unexpected()
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.peek()|0x20 == 'e' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return nil
}

// digits reads one digit or more.
func (s *scanner) digits() error {
	if !isDigit(s.peek()) {
		return s.unexpected()
	}
	for isDigit(s.peek()) {
		s.pos++
	}
	return nil
}

// Valid reports whether a text is JSON, as encoding/json does, in less than half the
// time. It may be nested twice as deep as a value, so that messages are read which have
// one in them that is nested too deep.
func Valid(text []byte) bool {
	sc := scanner{data: text, limit: 2 * maxDepth}
	sc.space()
	if sc.value() != nil {
		return false
	}
	sc.space()
	return sc.pos == len(text)
}

// compact checks a whole text, such as a Marshaler gives. It returns the text without
// white space and how deep it is nested.
func compact(text []byte) ([]byte, int, error) {
	sc := scanner{data: validUTF8(text), limit: maxDepth}
	sc.space()
	if err := sc.value(); err != nil {
		return nil, 0, err
	}
	sc.space()
	if sc.pos < len(sc.data) {
		return nil, 0, sc.unexpected()
	}
	return compacted(sc.data, sc.spaced), sc.deepest, nil
}

// compacted gives a checked text without the white space between its tokens, of which
// there may be some only if spaced is true.
func compacted(text []byte, spaced bool) []byte {
	if !spaced {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '"' {
			end := stringEnd(text, i)
			out = append(out, text[i:end]...)
			i = end - 1
		} else if !isSpace(text[i]) {
			out = append(out, text[i])
		}
	}
	return out
}
