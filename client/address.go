package client

import (
	"fmt"
	"net/url"
	"strings"
)

// parseAddress reads the address that the application has given.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: URL: %w", ErrOptions, withoutAddress(err))
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
		if u.Host != "" {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%w: URL: it must be like ws://host/path or https://host/path", ErrOptions)
}

// withCredentials adds the id of a client and its token behind the query of an
// address. Of several values servers take the last one.
func withCredentials(u *url.URL, id, tok string) *url.URL {
	full := *u
	full.RawQuery = normalizeQuery(u.RawQuery) + "id=" + url.QueryEscape(id) + "&token=" + url.QueryEscape(tok)
	return &full
}

// normalizeQuery writes a query as a request may have it, in its own order, with an
// & at the end if there is anything.
func normalizeQuery(query string) string {
	var b strings.Builder
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		b.WriteString(normalizeText(name))
		b.WriteByte('=')
		b.WriteString(normalizeText(value))
		b.WriteByte('&')
	}
	return b.String()
}

// normalizeText takes what is no valid escape literally.
func normalizeText(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return url.QueryEscape(text)
}
