package client

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseAddress parses an address of the application.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil && strings.Contains(text, "://") {
		return nil, fmt.Errorf("URL: %w", withoutAddress(err))
	}
	if err == nil && u.Host != "" {
		switch u.Scheme {
		case "ws", "wss", "http", "https":
			return u, nil
		}
	}
	return nil, errors.New("URL: it must be like ws://host/path or https://host/path")
}

// withParameters appends encoded parameters to the query of an address. If a name occurs
// several times, servers use the last value.
func withParameters(u *url.URL, parameters string) *url.URL {
	full := *u
	full.RawQuery = normalizeQuery(u.RawQuery) + parameters
	return &full
}

// normalizeQuery returns a query with names and values escaped as requests need it, in the
// same order, with an & at the end unless it is empty.
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

// normalizeText escapes a name or a value. Invalid escapes in it are taken literally.
func normalizeText(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return url.QueryEscape(text)
}

// withoutAddress returns the cause of an error of net/http or net/url, without the
// address, since its query may be secret.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
