package serializer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// maxDateMillis is the largest distance from 1970 that a JavaScript Date can have, in milliseconds.
const maxDateMillis = 8_640_000_000_000_000

// appendDate appends t in UTC, truncated to milliseconds, as Date.prototype.toISOString does: years
// outside of 0 to 9999 have a sign and six digits.
func appendDate(dst []byte, t time.Time) ([]byte, error) {
	if ms := t.UnixMilli(); ms < -maxDateMillis || ms > maxDateMillis {
		return dst, fmt.Errorf("the year %d is out of the range of a date", t.Year())
	}
	t = t.UTC()
	year := t.Year()
	if 0 <= year && year <= 9999 {
		return t.AppendFormat(dst, "2006-01-02T15:04:05.000Z"), nil
	}
	dst = fmt.Appendf(dst, "%+07d", year)
	return t.AppendFormat(dst, "-01-02T15:04:05.000Z"), nil
}

// parseDate parses a date as the Date constructor does, in the formats that have a standard: ISO
// 8601 as in ECMAScript, and the one of HTTP and mail. A time without a zone is in UTC. The result
// is in UTC, truncated to milliseconds.
func parseDate(text string) (time.Time, bool) {
	t, ok := parseISODate(text)
	for _, layout := range [...]string{http.TimeFormat, time.RFC1123Z} {
		if !ok {
			var err error
			t, err = time.Parse(layout, text)
			ok = err == nil
		}
	}
	ms := t.UnixMilli()
	if !ok || ms < -maxDateMillis || ms > maxDateMillis {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// parseISODate parses YYYY[-MM[-DD]][THH:MM[:SS[.fraction]][zone]]. The year may have a sign and
// six digits. The zone is Z or ±HH:MM.
func parseISODate(text string) (time.Time, bool) {
	p := dateParser{text: text}
	year := p.year()
	month, day := 1, 1
	if p.take('-') {
		month = p.number(2, 1, 12)
		if p.take('-') {
			day = p.number(2, 1, 31)
		}
	}
	var hour, minute, second, millis, offset int
	if p.take('T') || p.take('t') || p.take(' ') {
		hour = p.number(2, 0, 24)
		p.must(':')
		minute = p.number(2, 0, 59)
		if p.take(':') {
			second = p.number(2, 0, 59)
			if p.take('.') {
				millis = p.millis()
			}
		}
		if hour == 24 && minute+second+millis > 0 {
			p.bad = true
		}
		offset = p.zone()
	}
	if p.bad || p.text != "" {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute-offset, second, millis*int(time.Millisecond), time.UTC), true
}

// dateParser parses text from its beginning. Once something does not fit, bad stays true.
type dateParser struct {
	text string
	bad  bool
}

func (p *dateParser) take(c byte) bool {
	if p.text == "" || p.text[0] != c {
		return false
	}
	p.text = p.text[1:]
	return true
}

func (p *dateParser) must(c byte) {
	if !p.take(c) {
		p.bad = true
	}
}

func (p *dateParser) number(digits, low, high int) int {
	n := 0
	for range digits {
		if p.text == "" || !jsontext.IsDigit(p.text[0]) {
			p.bad = true
			return 0
		}
		n = n*10 + int(p.text[0]-'0')
		p.text = p.text[1:]
	}
	if n < low || n > high {
		p.bad = true
	}
	return n
}

func (p *dateParser) year() int {
	switch {
	case p.take('+'):
		return p.number(6, 0, 999_999)
	case p.take('-'):
		return -p.number(6, 1, 999_999) // there is no year -0
	}
	return p.number(4, 0, 9999)
}

// millis parses a fraction of a second. Digits after the third are ignored.
func (p *dateParser) millis() int {
	n := p.number(1, 0, 9)
	for range 2 {
		n *= 10
		if p.text != "" && jsontext.IsDigit(p.text[0]) {
			n += p.number(1, 0, 9)
		}
	}
	for p.text != "" && jsontext.IsDigit(p.text[0]) {
		p.text = p.text[1:]
	}
	return n
}

// zone parses an offset from UTC, in minutes.
func (p *dateParser) zone() int {
	sign := 1
	switch {
	case p.text == "" || p.take('Z') || p.take('z'):
		return 0
	case p.take('-'):
		sign = -1
	default:
		p.must('+')
	}
	hours := p.number(2, 0, 23)
	p.must(':')
	return sign * (hours*60 + p.number(2, 0, 59))
}

var errNoURL = errors.New("not an absolute URL")

// specialPorts has the schemes that the URL standard calls special, except file, and their default
// ports.
var specialPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}

// parseURL parses an absolute URL as the URL constructor does, within the limits of [url.Parse]. The
// result is normalized.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// JavaScript accepts a % that begins no escape.
		if u, err = url.Parse(escapeStrayPercents(text)); err != nil {
			return nil, errNoURL
		}
	}
	return normalizeURL(u)
}

// normalizeURL returns a copy of u as JavaScript prints it: with scheme and host in lower case,
// without a default port, and with the path / for the empty path of a special scheme. Dot segments
// are not resolved.
func normalizeURL(u *url.URL) (*url.URL, error) {
	if u.Scheme == "" {
		return nil, errNoURL
	}
	n := *u
	n.Scheme = strings.ToLower(u.Scheme)
	port, special := specialPorts[n.Scheme]
	if !special {
		return &n, nil
	}
	if n.Hostname() == "" || n.Opaque != "" {
		return nil, errNoURL
	}
	n.Host = strings.TrimSuffix(strings.ToLower(n.Host), ":"+port)
	n.Host = strings.TrimSuffix(n.Host, ":")
	if n.Path == "" {
		n.Path = "/"
	}
	return &n, nil
}

func escapeStrayPercents(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		if text[i] == '%' && !(i+2 < len(text) && jsontext.IsHex(text[i+1]) && jsontext.IsHex(text[i+2])) {
			b.WriteString("25")
		}
	}
	return b.String()
}

const regExpFlags = "dgimsuvy"

var errNoRegExp = errors.New("not a regular expression")

// normalizeRegExp returns r as JavaScript prints it. It returns an error if the flags are bad.
func normalizeRegExp(r value.RegExp) (value.RegExp, error) {
	flags := []byte(r.Flags)
	slices.Sort(flags)
	for i, flag := range flags {
		if strings.IndexByte(regExpFlags, flag) < 0 || i > 0 && flag == flags[i-1] {
			return value.RegExp{}, errNoRegExp
		}
	}
	if strings.ContainsRune(r.Flags, 'u') && strings.ContainsRune(r.Flags, 'v') {
		return value.RegExp{}, errNoRegExp
	}
	return value.RegExp{Source: escapeSource(r.Source), Flags: string(flags)}, nil
}

// parseRegExp parses /pattern/flags. The last slash ends the pattern.
func parseRegExp(text string) (value.RegExp, error) {
	end := strings.LastIndexByte(text, '/')
	if end < 1 || text[0] != '/' || strings.ContainsAny(text, "\n\r\u2028\u2029") {
		return value.RegExp{}, errNoRegExp
	}
	return normalizeRegExp(value.RegExp{Source: text[1:end], Flags: text[end+1:]})
}

// escapeSource escapes what cannot be in a pattern between slashes: slashes outside of a class, and
// line breaks.
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

// lineBreak returns the escape of a line break, without its backslash.
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

// maxBigIntDigits is how many digits a bigint may have: parsing takes quadratic time.
const maxBigIntDigits = 4300

// isBigInt reports whether text is -?(0|[1-9][0-9]*) with at most 4300 digits.
func isBigInt(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || len(digits) > maxBigIntDigits || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, c := range digits {
		if !jsontext.IsDigit(c) {
			return false
		}
	}
	return true
}
