package peer

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Origin is the scheme and host of an address that is only a path. It is not sent.
const Origin = "http://orpc"

const originScheme, originHost = "http", "orpc"

// These are the characters that JavaScript escapes in a path and in a query, besides
// control characters, spaces and all characters outside of ASCII. Those in a path include
// the ones that Go would escape too.
const (
	unsafeInPath  = "\"<>`{}^|"
	unsafeInQuery = "\"<>'"
)

// plainInPath are the characters, besides letters and digits, that need no escaping in any
// path.
const plainInPath = "/-_~"

// dots decodes the escaped dots of a path.
var dots = strings.NewReplacer("%2e", ".", "%2E", ".")

var errNoAddress = errors.New("address is neither a path nor an absolute URL")

// parseAddress parses the member u as the original does: [Origin] is put before a path,
// backslashes count as slashes, dot segments are resolved, and characters that must not
// appear in a URL are escaped.
func parseAddress(address string) (*url.URL, error) {
	if isPlainPath(address) { // as most are: there is nothing to resolve or to escape
		return &url.URL{Scheme: originScheme, Host: originHost, Path: address}, nil
	}
	if strings.HasPrefix(address, "/") {
		address = Origin + address
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil, errNoAddress
	}
	host, path := cutAny(rest, `/\?#`)
	path, tail := cutAny(path, "?#")
	query, fragment := cutAny(tail, "#")
	u, err := url.Parse(scheme + "://" + host + escape(cleanPath(path), unsafeInPath) + escape(query, unsafeInQuery) + fragment)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	if u.Host == "" {
		return nil, errNoAddress
	}
	return u, nil
}

// encodeAddress returns the member u.
func encodeAddress(u *url.URL) (string, error) {
	if u == nil {
		return "", errNoAddress
	}
	if isPlainPath(u.Path) && *u == (url.URL{Path: u.Path}) {
		return u.Path, nil
	}
	whole := *u
	if whole.Scheme == "" && whole.Host == "" {
		whole.Scheme, whole.Host = originScheme, originHost
	}
	if whole.Scheme == "" || whole.Host == "" {
		return "", errNoAddress
	}
	if whole.Path == "" {
		whole.Path = "/"
	}
	text := whole.String()
	if whole.Scheme == originScheme && whole.Host == originHost && whole.User == nil {
		text = strings.TrimPrefix(text, Origin)
	}
	return text, nil
}

// isPlainPath reports whether an address is a path with nothing to resolve or to escape.
func isPlainPath(address string) bool {
	if !strings.HasPrefix(address, "/") {
		return false
	}
	for i := range len(address) {
		c := address[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(plainInPath, c) >= 0) {
			return false
		}
	}
	return true
}

// cutAny splits s before the first of chars.
func cutAny(s, chars string) (before, after string) {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cleanPath resolves dot segments. Unlike path.Clean it keeps empty segments.
func cleanPath(path string) string {
	path = strings.TrimPrefix(strings.ReplaceAll(path, `\`, "/"), "/")
	var clean []string
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch dots.Replace(segment) {
		case ".":
		case "..":
			clean = clean[:max(0, len(clean)-1)]
		default:
			clean = append(clean, segment)
			last = false
		}
		if last { // a path that ends in dots leads to a directory
			clean = append(clean, "")
		}
	}
	return "/" + strings.Join(clean, "/")
}

func escape(s, unsafe string) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	done := 0
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7F && strings.IndexByte(unsafe, c) < 0 {
			continue
		}
		out = append(append(out, s[done:i]...), '%', hex[c>>4], hex[c&0xF])
		done = i + 1
	}
	if done == 0 {
		return s
	}
	return string(append(out, s[done:]...))
}
