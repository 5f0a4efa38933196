package rpc

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// encodePath gives the path of a procedure as it stands in an address, with a
// slash in front of each segment.
func encodePath(path []string) string {
	var b strings.Builder
	for _, segment := range path {
		segment = encodeSegment(segment)
		b.Grow(len("/") + len(segment))
		b.WriteByte('/')
		b.WriteString(segment)
	}
	return b.String()
}

// encodeSegment percent-encodes what JavaScript's encodeURIComponent does, which
// is more than url.PathEscape: servers compare encoded paths letter by letter.
func encodeSegment(segment string) string {
	const hex = "0123456789ABCDEF"
	reserved := 0
	for i := range len(segment) {
		if !isUnreserved(segment[i]) {
			reserved++
		}
	}
	if reserved == 0 {
		return segment
	}
	encoded := make([]byte, 0, len(segment)+2*reserved)
	for i := range len(segment) {
		if c := segment[i]; isUnreserved(c) {
			encoded = append(encoded, c)
		} else {
			encoded = append(encoded, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(encoded)
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0
}

// decodePath reads the path of a procedure from an address. Each segment has to be
// spelled as encodeSegment does, so that a procedure has one address only; a trailing
// slash does not count.
func decodePath(u *url.URL) ([]string, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSuffix(u.EscapedPath(), "/"), "/")
	if !ok {
		return nil, ErrNoProcedure
	}
	path := make([]string, 0, 1+strings.Count(encoded, "/"))
	for segment := range strings.SplitSeq(encoded, "/") {
		name, err := url.PathUnescape(segment)
		if err != nil || name == "" || !utf8.ValidString(name) || encodeSegment(name) != segment {
			return nil, ErrNoProcedure
		}
		path = append(path, name)
	}
	return path, nil
}
