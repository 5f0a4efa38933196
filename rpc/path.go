package rpc

import "strings"

// encodePath gives the path of a procedure as it stands in an address, with a
// slash in front of each segment.
func encodePath(path []string) string {
	var b strings.Builder
	for _, segment := range path {
		b.WriteByte('/')
		encodeSegment(&b, segment)
	}
	return b.String()
}

// encodeSegment percent-encodes what JavaScript's encodeURIComponent does, which
// is more than url.PathEscape: servers compare encoded paths letter by letter.
func encodeSegment(b *strings.Builder, segment string) {
	const hex = "0123456789ABCDEF"
	for i := range len(segment) {
		c := segment[i]
		if isUnreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0
}
