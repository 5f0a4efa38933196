package jsontext

import "fmt"

// A SyntaxError is returned for text that is not JSON, or is nested too deeply.
type SyntaxError struct{ Reason string }

func (e *SyntaxError) Error() string { return "jsontext: " + e.Reason }

// Valid reports whether text is JSON that is nested at most limit levels deep.
// encoding/json takes twice the time. Invalid UTF-8 is accepted in strings.
func Valid(text []byte, limit int) bool {
	s := Scanner{data: text, limit: limit}
	_, err := s.Value()
	return err == nil && s.End() == nil
}

// IsNumber reports whether text is a JSON number, without white space.
func IsNumber(text []byte) bool {
	s := Scanner{data: text}
	return s.number() == nil && s.pos == len(text)
}

// Compact checks text that is nested at most limit levels deep. It returns the text in
// UTF-8 and without white space between its tokens, and its depth. If nothing has to be
// changed, the result is text itself.
func Compact(text []byte, limit int) (compact []byte, depth int, err error) {
	s := NewScanner(text, limit)
	v, err := s.Value()
	if err == nil {
		err = s.End()
	}
	return v.Compact(), v.Depth, err
}

// A Scanner checks text token by token or value by value, and skips the white space between
// them.
type Scanner struct {
	data    []byte
	pos     int
	limit   int
	depth   int
	deepest int
	spaced  bool // there was white space
}

// NewScanner returns a Scanner of text, whose values may be nested at most limit levels deep.
// Bytes that are not UTF-8 are replaced by U+FFFD in a copy.
func NewScanner(text []byte, limit int) *Scanner {
	return &Scanner{data: ValidUTF8(text), limit: limit}
}

// Scanned is a value that has been checked.
type Scanned struct {
	Text  []byte // unchanged
	Depth int    // levels of nested arrays and objects
	// Spaced is set if there may be white space between tokens.
	Spaced bool
}

// Value checks and returns the next value.
func (s *Scanner) Value() (Scanned, error) {
	s.space()
	start := s.pos
	s.deepest, s.spaced = 0, false
	if err := s.value(); err != nil {
		return Scanned{}, err
	}
	v := Scanned{Text: s.data[start:s.pos:s.pos], Depth: s.deepest, Spaced: s.spaced}
	s.space()
	return v, nil
}

// Peek returns the next byte, or 0 at the end of the text.
func (s *Scanner) Peek() byte {
	s.space()
	return s.peek()
}

// Take checks that the next byte is c, and skips it.
func (s *Scanner) Take(c byte) error {
	s.space()
	return s.take(c)
}

// Key checks the key of a member and its colon, and returns the key without escapes. It may
// share memory with the text.
func (s *Scanner) Key() ([]byte, error) {
	s.space()
	c := Cursor{Data: s.data, Pos: s.pos}
	if err := s.key(); err != nil {
		return nil, err
	}
	return c.Str(), nil
}

// End checks that the text has ended.
func (s *Scanner) End() error {
	s.space()
	if s.pos < len(s.data) {
		return s.unexpected()
	}
	return nil
}

func (s *Scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return &SyntaxError{"unexpected end of JSON"}
	}
	return &SyntaxError{fmt.Sprintf("unexpected %q at offset %d", s.data[s.pos], s.pos)}
}

func (s *Scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *Scanner) take(c byte) error {
	if s.peek() != c {
		return s.unexpected()
	}
	s.pos++
	return nil
}

func (s *Scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
		s.spaced = true
	}
}

func (s *Scanner) value() error {
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
	case c == '-' || IsDigit(c):
		return s.number()
	}
	return s.unexpected()
}

func (s *Scanner) container(end byte) error {
	if s.depth++; s.depth > s.limit {
		return &SyntaxError{fmt.Sprintf("nested deeper than %d", s.limit)}
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

// key checks the key of a member, its colon and the white space up to the value.
func (s *Scanner) key() error {
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

func (s *Scanner) literal(want string) error {
	for i := range len(want) {
		if err := s.take(want[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) str() error {
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

// escape checks the escape after a backslash and stops at its last byte.
func (s *Scanner) escape() error {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.pos++
			if !IsHex(s.peek()) {
				return s.unexpected()
			}
		}
		return nil
	}
	return s.unexpected()
}

func (s *Scanner) number() error {
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

// digits checks one or more digits.
func (s *Scanner) digits() error {
	if !IsDigit(s.peek()) {
		return s.unexpected()
	}
	for IsDigit(s.peek()) {
		s.pos++
	}
	return nil
}

// Compact returns the text of the value without white space between its tokens. If there is
// none, it returns Text itself.
func (v Scanned) Compact() []byte {
	if !v.Spaced {
		return v.Text
	}
	out := make([]byte, 0, len(v.Text))
	for i := 0; i < len(v.Text); i++ {
		if v.Text[i] == '"' {
			end := stringEnd(v.Text, i)
			out = append(out, v.Text[i:end]...)
			i = end - 1
		} else if !isSpace(v.Text[i]) {
			out = append(out, v.Text[i])
		}
	}
	return out
}
