package serializer

import (
	"bytes"
	"slices"
	"strconv"
)

// maxBigIntDigits bounds the quadratic work of reading a long number.
const maxBigIntDigits = 4300

// decoded reports whether a file or meta has already taken the place of the JSON at the
// mark, so that it has no members any more.
func (at *mark) decoded() bool { return at.typ != noType || len(at.customs) > 0 }

// apply checks the item of meta with the given index and notes it at its mark.
func (s *Serializer) apply(m *marks, index int) error {
	item := m.items[index]
	at := item.mark
	if key, ok := at.reachable(); !ok {
		return malformed("a path of meta leads to %.40q, which does not exist", key)
	}
	if custom := s.byNumber[item.typ]; custom != nil {
		at.customs = append(at.customs, custom)
		return nil
	}
	if at.decoded() || !at.fits(item.typ, m.data) {
		return malformed("meta type %d (%s) does not fit its value", item.typ, typeNames[item.typ])
	}
	at.typ = item.typ
	return nil
}

// reachable reports whether the path to the mark exists or, if not, where it ends.
func (at *mark) reachable() (missing string, ok bool) {
	for kid := at; kid.up != nil; kid = kid.up {
		up := kid.up
		// A kid outside of its parent was found in an earlier member of the same name.
		if up.decoded() || kid.start < up.start || kid.start >= up.end {
			return kid.key, false
		}
	}
	return "", true
}

// fits makes the strict checks of the built-in types.
func (at *mark) fits(typ int, data []byte) bool {
	c := cursor{data: data, pos: at.start}
	first := c.peek()
	text := first == '"'
	switch typ {
	case typeBigInt:
		return text && isBigInt(c.str())
	case typeDate:
		return text || first == 'n'
	case typeNaN, typeUndefined:
		return first == 'n'
	case typeURL:
		if !text {
			return false
		}
		_, err := parseURL(string(c.str()))
		return err == nil
	case typeRegExp:
		if !text {
			return false
		}
		_, err := parseRegExp(string(c.str()))
		return err == nil
	case typeSet:
		return first == '['
	default: // typeMap
		return first == '[' && at.pairs && !at.hasDecodedKid()
	}
}

// hasDecodedKid reports whether an element is no array or object any more.
func (at *mark) hasDecodedKid() bool {
	for kid := at.first; kid != nil; kid = kid.next {
		if kid.decoded() {
			return true
		}
	}
	return false
}

// isBigInt reports whether text is -?(0|[1-9][0-9]*) with at most 4300 digits.
func isBigInt(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || len(digits) > maxBigIntDigits || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// meta writes the items at and below a mark, with paths that begin there.
func (m *marks) meta(from *mark) []byte {
	indexes := from.below(nil)
	if len(indexes) == 0 {
		return nil
	}
	slices.Sort(indexes)
	meta := []byte{'['}
	for _, index := range indexes {
		item := m.items[index]
		meta = strconv.AppendInt(append(meta, '['), int64(item.typ), 10)
		meta = m.appendPath(meta, from, item.mark)
		meta = append(meta, "],"...)
	}
	meta[len(meta)-1] = ']'
	return meta
}

// below appends the indexes of the items at and below a mark.
func (at *mark) below(indexes []int) []int {
	if at == nil {
		return indexes
	}
	indexes = append(indexes, at.items...)
	for kid := at.first; kid != nil; kid = kid.next {
		indexes = kid.below(indexes)
	}
	return indexes
}

func (m *marks) appendPath(dst []byte, from, to *mark) []byte {
	if to == from {
		return dst
	}
	dst = append(m.appendPath(dst, from, to.up), ',')
	if m.data[to.up.start] == '[' {
		return append(dst, to.key...)
	}
	return appendString(dst, to.key)
}
