package peer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// IsEventStream reports whether a message with these headers announces an
// event stream: its type begins with text/event-stream, in lower case, and it
// is no file.
func IsEventStream(h http.Header) bool {
	return len(h) > 0 && len(h["Content-Disposition"]) == 0 && strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// maxHeaders bounds the headers of a message, and the values of each, which take much
// more memory once they are decoded.
const maxHeaders = 256

var errHeaders = errors.New("too many headers")

// decodeHeader reads the member h. Names may have any case; a header
// without a value is left out.
func decodeHeader(value []byte) (http.Header, error) {
	h := make(http.Header)
	if isAbsent(value) {
		return h, nil
	}
	if !isObject(value) {
		return nil, errors.New("headers are no object")
	}
	for name, value := range members(value) {
		if len(h) == maxHeaders {
			return nil, errHeaders
		}
		values, err := headerValues(value)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if len(values) > maxHeaders {
			return nil, errHeaders
		}
		if len(values) > 0 {
			h[http.CanonicalHeaderKey(strings.ToLower(name))] = values
		}
	}
	return h, nil
}

func headerValues(value []byte) ([]string, error) {
	if isAbsent(value) {
		return nil, nil
	}
	if isText(value) {
		return []string{unquote(value)}, nil
	}
	return decodeTexts(value)
}

// appendHeader adds the member h, unless it would be empty. Names are
// written in lower case and sorted, so that a message has one form only.
func appendHeader(dst []byte, h http.Header) []byte {
	if len(h) == 0 {
		return dst
	}
	values := make(map[string][]string, len(h))
	names := make([]string, 0, len(h))
	for key, list := range h {
		if len(list) > 0 {
			name := strings.ToLower(key)
			names = append(names, name)
			values[name] = list
		}
	}
	if len(names) == 0 {
		return dst
	}
	slices.Sort(names)
	dst = append(appendName(dst, "h"), '{')
	for i, name := range slices.Compact(names) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsontext.AppendString(dst, name), ':')
		if list := values[name]; len(list) == 1 {
			dst = jsontext.AppendString(dst, list[0])
		} else {
			dst = jsontext.AppendStrings(dst, list)
		}
	}
	return append(dst, '}')
}

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

// Filename reads the name of a file from a Content-Disposition value. It prefers the
// extended form to the quoted one, and returns false if there is
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
