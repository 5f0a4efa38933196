package serializer

import (
	"fmt"
	"net/http"
	"time"
)

// maxDateMillis is the largest distance from 1970 that a JavaScript Date can have.
const maxDateMillis = 8_640_000_000_000_000

// appendDate appends t in UTC and cut to milliseconds, as Date.prototype.toISOString
// writes it: years outside 0 to 9999 have a sign and six digits.
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

// parseDate reads a text as the Date constructor does, for the forms that are written
// down: ISO 8601 as in ECMAScript, and the one of HTTP and mail. A time without a
// zone is taken as UTC. The result is in UTC and cut to milliseconds.
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

// parseISODate reads YYYY[-MM[-DD]], with a sign and six digits for the year or
// without, and then perhaps THH:MM[:SS[.fraction]] and a zone, Z or ±HH:MM.
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

// dateParser consumes text from its begin. Once something does not fit, bad stays true.
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
		if p.text == "" || !isDigit(p.text[0]) {
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

// millis reads a fraction of a second; digits after the third are dropped.
func (p *dateParser) millis() int {
	n := p.number(1, 0, 9)
	for range 2 {
		n *= 10
		if p.text != "" && isDigit(p.text[0]) {
			n += p.number(1, 0, 9)
		}
	}
	for p.text != "" && isDigit(p.text[0]) {
		p.text = p.text[1:]
	}
	return n
}

// zone reads an offset from UTC in minutes.
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
