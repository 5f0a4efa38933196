package peer

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unsafe"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// IsEventStream reports whether a message with these headers announces an event stream: its
// Content-Type begins with text/event-stream, in lower case, and it is not a file.
func IsEventStream(h http.Header) bool {
	return len(h) > 0 && len(h["Content-Disposition"]) == 0 && strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// maxHeaders bounds the headers of a message, and the values of each header, which take
// much more memory when decoded.
const maxHeaders = 256

var errHeaders = errors.New("too many headers")

// decodeHeader decodes the member h. Names may have any case. A header without a value is
// omitted.
func decodeHeader(value []byte) (http.Header, error) {
	h := make(http.Header)
	if isAbsent(value) {
		return h, nil
	}
	if !isObject(value) {
		return nil, errors.New("headers are not an object")
	}
	for name, value := range members(value) {
		if len(h) == maxHeaders {
			return nil, errHeaders
		}
		values, err := headerValues(value)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if len(values) > maxHeaders {
			return nil, errHeaders
		}
		if len(values) > 0 {
			h[http.CanonicalHeaderKey(strings.ToLower(name))] = values
		}
	}
	return h, nil
}

// headerOverhead is about how many bytes of memory a header takes in addition to its text
// and values.
const headerOverhead = 128

// headerSize returns about how many bytes of memory decoded headers take in addition to
// their text. It can be many times the size of the text.
func headerSize(h http.Header) int {
	size := 0
	for _, values := range h {
		size += headerOverhead + len(values)*int(unsafe.Sizeof(""))
	}
	return size
}

func headerValues(value []byte) ([]string, error) {
	if isAbsent(value) {
		return nil, nil
	}
	if isText(value) {
		return []string{unquote(value)}, nil
	}
	return decodeTexts(value)
}

// appendHeader appends the member h, unless it would be empty. Names are written in lower
// case and sorted, so that equal messages have equal encodings.
func appendHeader(dst []byte, h http.Header) []byte {
	if len(h) == 0 {
		return dst
	}
	values := make(map[string][]string, len(h))
	names := make([]string, 0, len(h))
	for key, list := range h {
		if len(list) > 0 {
			name := strings.ToLower(key)
			names = append(names, name)
			values[name] = list
		}
	}
	if len(names) == 0 {
		return dst
	}
	slices.Sort(names)
	dst = append(appendName(dst, "h"), '{')
	for i, name := range slices.Compact(names) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsontext.AppendString(dst, name), ':')
		if list := values[name]; len(list) == 1 {
			dst = jsontext.AppendString(dst, list[0])
		} else {
			dst = jsontext.AppendStrings(dst, list)
		}
	}
	return append(dst, '}')
}
