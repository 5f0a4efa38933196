package rpc

import (
	"net/http"
	"slices"
	"strings"
)

// Names and values of headers.
const (
	headerContentType = "Content-Type"
	headerDisposition = "Content-Disposition"
	headerLastEventID = "Last-Event-Id"
	eventStreamType   = "text/event-stream"
	urlEncodedType    = "application/x-www-form-urlencoded"
)

// listHeaders are the response headers whose values add up. Middleware around a
// handler may have set them before.
var listHeaders = []string{
	"Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods",
	"Access-Control-Expose-Headers",
	"Allow",
	"Link",
	"Server-Timing",
	"Set-Cookie",
	"Vary",
	"Www-Authenticate",
}

// mergeHeader writes the headers of a call to those of a response: to lists it
// adds the lines that are not there yet, other headers it replaces.
func mergeHeader(into, from http.Header) {
	for name, values := range from {
		name = http.CanonicalHeaderKey(name)
		if !slices.Contains(listHeaders, name) {
			into[name] = slices.Clone(values)
			continue
		}
		for _, value := range values {
			if !listed(into[name], value) {
				into.Add(name, value)
			}
		}
	}
}

// replaceHeader writes headers over those of the same name.
func replaceHeader(into, from http.Header) {
	for name, values := range from {
		into[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// listed tells whether value is a whole line, or an element of one.
func listed(lines []string, value string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return line == value || slices.ContainsFunc(strings.Split(line, ","), func(element string) bool {
			return strings.EqualFold(strings.TrimSpace(element), value)
		})
	})
}
