package serializer

import (
	"errors"
	"slices"
	"strings"
)

// RegExp is a JavaScript regular expression. It is never compiled here: its syntax
// is not Go's. The empty Source means the empty pattern, sent as (?:).
type RegExp struct {
	Source string // as the source property has it: slashes are escaped, as in a\/b
	Flags  string // out of dgimsuvy, each at most once, not both u and v
}

const regExpFlags = "dgimsuvy"

var errNoRegExp = errors.New(`not a "/pattern/flags" text`)

// String gives the form /source/flags.
func (r RegExp) String() string { return "/" + r.Source + "/" + r.Flags }

// normalized gives r as JavaScript would print it, or an error if its flags are bad.
func (r RegExp) normalized() (RegExp, error) {
	flags := []byte(r.Flags)
	slices.Sort(flags)
	for i, flag := range flags {
		if strings.IndexByte(regExpFlags, flag) < 0 || i > 0 && flag == flags[i-1] {
			return RegExp{}, errNoRegExp
		}
	}
	if strings.ContainsRune(r.Flags, 'u') && strings.ContainsRune(r.Flags, 'v') {
		return RegExp{}, errNoRegExp
	}
	return RegExp{Source: escapeSource(r.Source), Flags: string(flags)}, nil
}

// parseRegExp reads /pattern/flags. The last slash ends the pattern.
func parseRegExp(text string) (RegExp, error) {
	end := strings.LastIndexByte(text, '/')
	if end < 1 || text[0] != '/' || strings.ContainsAny(text, "\n\r\u2028\u2029") {
		return RegExp{}, errNoRegExp
	}
	return RegExp{Source: text[1:end], Flags: text[end+1:]}.normalized()
}

// escapeSource escapes what a pattern between slashes cannot hold: slashes outside
// of a class, and line breaks.
func escapeSource(source string) string {
	if source == "" {
		return "(?:)"
	}
	var b strings.Builder
	inClass, escaped := false, false
	for _, r := range source {
		switch {
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			if !escaped {
				b.WriteByte('\\')
			}
			b.WriteString(lineBreak(r))
			escaped = false
			continue
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '[':
			inClass = true
		case r == ']':
			inClass = false
		case r == '/' && !inClass:
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lineBreak is what follows the backslash in the escape of a line break.
func lineBreak(r rune) string {
	switch r {
	case '\n':
		return "n"
	case '\r':
		return "r"
	case '\u2028':
		return "u2028"
	}
	return "u2029"
}
