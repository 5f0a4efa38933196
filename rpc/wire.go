package rpc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names and values of headers.
const (
	headerContentType = "Content-Type"
	headerDisposition = "Content-Disposition"
	headerLastEventID = "Last-Event-Id"
	headerIdempotency = "Idempotency-Key"
	eventStreamType   = "text/event-stream"
	urlEncodedType    = "application/x-www-form-urlencoded"
)

// noProcedureText is oRPC's message for a path without a procedure.
const noProcedureText = "No procedure matched"

// ErrNoProcedure is returned by the Handle function of a server for a path without a procedure. The
// caller receives status 404 with oRPC's message for this case, which is not an RPC error.
var ErrNoProcedure = errors.New("no procedure matched")

// replaceHeader replaces headers with the same names.
func replaceHeader(into, from http.Header) {
	for name, values := range from {
		into[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// listed reports whether value is one of the lines, or an element of one.
func listed(lines []string, value string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return line == value || slices.ContainsFunc(strings.Split(line, ","), func(element string) bool {
			return strings.EqualFold(strings.TrimSpace(element), value)
		})
	})
}

// encodePath returns the path of a procedure as the path of a URL, with a slash before each segment.
func encodePath(path []string) string {
	var b strings.Builder
	for _, segment := range path {
		segment = encodeSegment(segment)
		b.Grow(len("/") + len(segment))
		b.WriteByte('/')
		b.WriteString(segment)
	}
	return b.String()
}

// encodeSegment percent-encodes a segment like JavaScript's encodeURIComponent, which encodes more
// characters than url.PathEscape: servers compare encoded paths byte by byte.
func encodeSegment(segment string) string {
	const hex = "0123456789ABCDEF"
	reserved := 0
	for i := range len(segment) {
		if !isUnreserved(segment[i]) {
			reserved++
		}
	}
	if reserved == 0 {
		return segment
	}
	encoded := make([]byte, 0, len(segment)+2*reserved)
	for i := range len(segment) {
		if c := segment[i]; isUnreserved(c) {
			encoded = append(encoded, c)
		} else {
			encoded = append(encoded, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(encoded)
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0
}

// decodePath returns the path of a procedure from a URL. Each segment must be encoded as
// encodeSegment does, so that a procedure has only one address. A trailing slash is ignored.
func decodePath(u *url.URL) ([]string, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSuffix(u.EscapedPath(), "/"), "/")
	if !ok {
		return nil, ErrNoProcedure
	}
	path := make([]string, 0, 1+strings.Count(encoded, "/"))
	for segment := range strings.SplitSeq(encoded, "/") {
		name, err := url.PathUnescape(segment)
		if err != nil || name == "" || !utf8.ValidString(name) || encodeSegment(name) != segment {
			return nil, ErrNoProcedure
		}
		path = append(path, name)
	}
	return path, nil
}

// withData adds an input to the query of an address, unless it is undefined.
func withData(address string, input []byte) string {
	if string(input) == "{}" {
		return address
	}
	return withParameter(address, "data", input)
}

// withParameter adds a parameter to the query of an address.
func withParameter(address, name string, value []byte) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(string(value))
}
