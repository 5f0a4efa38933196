package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"
)

// The functions below read JSON text that is known to be valid. They give the
// members of an object without copying them and with exact names, neither of
// which encoding/json does.

var (
	errNoText  = errors.New("value is no text")
	errNoTexts = errors.New("value is neither a text nor a list of texts")
)

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

func isText(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// isAbsent reports whether a member is missing or null.
func isAbsent(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

// members iterates over the members of an object in their order.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		rest := trimSpace(object[1:])
		for rest[0] != '}' {
			n := valueLen(rest)
			name := unquote(rest[:n])
			rest = trimSpace(trimSpace(rest[n:])[len(":"):])
			n = valueLen(rest)
			if !yield(name, rest[:n:n]) {
				return
			}
			rest = trimSpace(rest[n:])
			if rest[0] == ',' {
				rest = trimSpace(rest[len(","):])
			}
		}
	}
}

func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// valueLen returns the length of the value that text begins with.
func valueLen(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += textLen(text[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// textLen returns the length of the quoted text that value begins with.
func textLen(value []byte) int {
	for i := 1; ; i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// unquote returns the text that a quoted one stands for.
func unquote(value []byte) string {
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var text string
	_ = json.Unmarshal(value, &text) // cannot fail: value is a valid JSON text
	return text
}

// decodeText returns the value of a member that must be a text.
func decodeText(value []byte) (string, error) {
	if !isText(value) {
		return "", errNoText
	}
	return unquote(value), nil
}

// decodeTexts returns the values of a member that must be a list of texts.
func decodeTexts(value []byte) ([]string, error) {
	var list []*string
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, errNoTexts
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, errNoTexts
		}
		out[i] = *s
	}
	return out, nil
}

// appendName adds the name of a member, after a comma unless it is the first.
func appendName(dst []byte, name string) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), name...)
	return append(dst, '"', ':')
}

// appendText adds s as JavaScript writes it: only quotes, backslashes and
// control characters are escaped.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	s = strings.ToValidUTF8(s, "\uFFFD")
	dst = append(dst, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, s[done:i]...), '\\')
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\b':
			dst = append(dst, 'b')
		case '\f':
			dst = append(dst, 'f')
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&0xF])
		}
	}
	return append(append(dst, s[done:]...), '"')
}

func appendTexts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, s)
	}
	return append(dst, ']')
}
