// Package weborigin checks the origins of pages, and patterns of them, that an application
// allows.
package weborigin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Check returns an error for an origin that browsers do not send and that would therefore
// never match: they send origins in lower case, international names in Punycode, and no default
// port. It does not check whether it is a valid origin at all.
func Check(origin string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	port := u.Port()
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case strings.ToLower(origin) != origin:
		return fmt.Errorf("%q: browsers send it in lower case", origin)
	case strings.ContainsFunc(origin, func(r rune) bool { return r > '~' || r <= ' ' }), strings.Contains(origin, "%"):
		return fmt.Errorf("%q: browsers send the host in ASCII, as xn--…", origin)
	case u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return fmt.Errorf("%q: browsers send it without the port of the scheme", origin)
	case port != "" && (err != nil || strconv.FormatUint(number, 10) != port), strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q: browsers send no such port", origin)
	}
	if host := u.Hostname(); strings.Contains(host, ":") {
		if addr, err := netip.ParseAddr(host); err != nil || addr.String() != host {
			return fmt.Errorf("%q: browsers send the address in its short form", origin)
		}
	}
	return nil
}

// CheckPattern returns an error for a pattern of path.Match that can match no origin of a page. A
// pattern is compared with the origin if it has "://" and otherwise with its host, which includes a
// port. Unlike an origin, it may be in upper case.
func CheckPattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf("pattern \"\": %w", path.ErrBadPattern)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	scheme, host, whole := strings.Cut(strings.ToLower(pattern), "://")
	if !whole {
		scheme, host = "other", scheme // with a host alone, the port of any scheme may be meant
	}
	if scheme == "ws" || scheme == "wss" {
		return fmt.Errorf("pattern %q: the origin of a page is http or https", pattern)
	}
	example := sample(scheme, "a") + "://" + sample(host, "1")
	err := cmp.Or(Check(example), http.NewCrossOriginProtection().AddTrustedOrigin(example))
	if err == nil {
		return nil
	}
	// The error has the example, which the application does not know.
	return fmt.Errorf("pattern %q: %w", pattern, errors.New(strings.ReplaceAll(err.Error(), strconv.Quote(example), strconv.Quote(pattern))))
}

// sample returns a string that a valid pattern matches, with this text for each wildcard.
func sample(pattern, text string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '*', '?':
			b.WriteString(text)
		case '[':
			for i++; pattern[i] != ']'; i++ {
				if pattern[i] == '\\' {
					i++
				}
			}
			b.WriteString(text)
		case '\\':
			i++
			b.WriteByte(pattern[i])
		default:
			b.WriteByte(pattern[i])
		}
	}
	return b.String()
}
