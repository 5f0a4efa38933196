package serializer

import (
	"errors"
	"net/url"
	"strings"
)

var errNoURL = errors.New("not an absolute URL")

// specialPorts lists the schemes that the URL standard calls special, except file, with the
// port that is left out.
var specialPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}

// parseURL reads a text as the URL constructor does, with what [url.Parse] can hold: the
// result is absolute, and normalized as [normalizeURL] does.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// A % that begins no escape is fine in JavaScript.
		if u, err = url.Parse(escapeStrayPercents(text)); err != nil {
			return nil, errNoURL
		}
	}
	return normalizeURL(u)
}

// normalizeURL gives a copy of u in the form that JavaScript would print: scheme and
// host in lower case, no default port, and / for the empty path of a special
// scheme. It does not resolve dot segments.
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
		if text[i] == '%' && !(i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2])) {
			b.WriteString("25")
		}
	}
	return b.String()
}
