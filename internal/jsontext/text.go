package jsontext

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as JSON.stringify writes it. Bytes that are not UTF-8 become
// U+FFFD.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[done:i]...)
			dst = appendEscape(dst, c)
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[done:i]...)
			dst = utf8.AppendRune(dst, utf8.RuneError)
			done = i + 1
		}
		i += size
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// AppendStrings appends an array of strings as JSON.stringify writes it.
func AppendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

// appendEscape appends the shortest escape of c.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendUnescaped appends the string that s, the inside of a valid JSON string, encodes. A
// lone surrogate, which a Go string cannot contain, becomes U+FFFD.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := unit(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if len(s) > i+6 && s[i+1] == '\\' && s[i+2] == 'u' {
					low = unit(s[i+3:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// unit parses the four hexadecimal digits at the start of s.
func unit(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		switch {
		case IsDigit(c):
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// ValidUTF8 returns text, or a copy in which each byte that is not UTF-8 is replaced by
// U+FFFD, as a decoder does.
func ValidUTF8(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	invalid := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			invalid++
		}
		i += size
	}
	valid := make([]byte, 0, len(text)+invalid*(len("\uFFFD")-1))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		valid = utf8.AppendRune(valid, r)
		i += size
	}
	return valid
}

// byteOrderMark is written by some programs before their JSON.
const byteOrderMark = "\uFEFF"

// TrimByteOrderMark returns text without a leading byte order mark.
func TrimByteOrderMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(byteOrderMark)) }

// SkipByteOrderMark returns a reader of the data of r without a leading byte order mark.
func SkipByteOrderMark(r io.Reader) io.Reader {
	text := bufio.NewReader(r)
	if mark, err := text.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		_, _ = text.Discard(len(mark)) // Peek has found it
	}
	return text
}

// AppendFloat appends a finite number as JavaScript prints it: the shortest text of the
// same float32 if size is 32, or of the same float64 if it is 64.
func AppendFloat(dst []byte, f float64, size int) []byte {
	if f == 0 {
		return append(dst, '0') // also for -0
	}
	small, large := math.Abs(f) < 1e-6, math.Abs(f) >= 1e21
	if size == 32 {
		small, large = float32(math.Abs(f)) < 1e-6, float32(math.Abs(f)) >= 1e21
	}
	if !small && !large {
		return strconv.AppendFloat(dst, f, 'f', -1, size)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, size)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsHex reports whether c is a hexadecimal digit.
func IsHex(c byte) bool { return IsDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
