package peer

import (
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	extendedName = regexp.MustCompile(`(?i)filename\*=(?:utf-8'')?([^;]*)`)
	quotedName   = regexp.MustCompile(`(?i)filename="((?:\\"|[^"])*)"`)
)

// ContentDisposition returns the header value that names a file. Readers that
// know only the plain form of the name see an underscore for what is not
// printable ASCII.
func ContentDisposition(filename string) string {
	var b strings.Builder
	b.WriteString(`inline; filename="`)
	for _, r := range filename {
		switch {
		case r == '"':
			b.WriteString(`\"`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default: // one for each UTF-16 unit, as in JavaScript
			b.WriteString(strings.Repeat("_", max(1, utf16.RuneLen(r))))
		}
	}
	b.WriteString(`"; filename*=utf-8''`)
	writeExtended(&b, strings.ToValidUTF8(filename, "\uFFFD"))
	return b.String()
}

// writeExtended writes name in the extended form of RFC 5987.
func writeExtended(b *strings.Builder, name string) {
	const hex = "0123456789ABCDEF"
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.!~|`^", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&0xF]})
		}
	}
}

// Filename reads the name of a file from a Content-Disposition value. The
// extended form goes before the quoted one. It returns false if there is
// neither; a bare word is not read, as in the original.
func Filename(disposition string) (name string, ok bool) {
	if m := extendedName.FindStringSubmatch(disposition); m != nil {
		name, err := url.PathUnescape(m[1])
		if err != nil || !utf8.ValidString(name) {
			return m[1], true
		}
		return name, true
	}
	if m := quotedName.FindStringSubmatch(disposition); m != nil {
		return strings.ReplaceAll(m[1], `\"`, `"`), true
	}
	return "", false
}
