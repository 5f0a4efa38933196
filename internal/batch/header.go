package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

var errHeader = errors.New("headers are not an object of strings and lists of strings")

// parseHeader parses an object whose members are strings or lists of strings.
func parseHeader(text json.RawMessage) (http.Header, error) {
	header := http.Header{}
	if len(text) == 0 {
		return header, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return nil, errHeader
	}
	for name, value := range members {
		values, ok := headerValues(value)
		if !ok {
			return nil, errHeader
		}
		for _, v := range values {
			header.Add(name, v)
		}
	}
	return header, nil
}

func headerValues(text json.RawMessage) (values []string, ok bool) {
	if len(text) > 0 && text[0] == '[' {
		return values, json.Unmarshal(text, &values) == nil
	}
	var value *string
	if json.Unmarshal(text, &value) != nil {
		return nil, false
	}
	if value != nil {
		values = []string{*value}
	}
	return values, true
}

// encodeHeader returns the object that parseHeader parses, or nil if it has no member.
// Names are in lower case and sorted.
func encodeHeader(header http.Header) json.RawMessage {
	members := make(map[string]any, len(header))
	for name, values := range header {
		switch len(values) {
		case 0:
		case 1:
			members[strings.ToLower(name)] = values[0]
		default:
			members[strings.ToLower(name)] = values
		}
	}
	if len(members) == 0 {
		return nil
	}
	return appendJSON(nil, members)
}

// appendJSON appends the JSON of a value that encoding/json can encode, without escaping
// for HTML.
func appendJSON(dst []byte, v any) []byte {
	text := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) //nolint:errchkjson // only strings, lists and valid JSON
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
