package peer

import (
	"encoding/json"
	"errors"
	"iter"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// The functions below require valid JSON, and compare the names of members exactly.

var (
	errNoText  = errors.New("value is not a string")
	errNoTexts = errors.New("value is neither a string nor a list of strings")
)

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

func isText(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// isAbsent reports whether a member is missing or null.
func isAbsent(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

// members returns an iterator over the members of an object, in order. Values are not
// copied.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		c := jsontext.Cursor{Data: object}
		c.Open()
		for c.More('}') {
			name := string(c.Key())
			if !yield(name, c.Raw()) {
				return
			}
		}
	}
}

// unquote returns the string that a JSON string encodes.
func unquote(value []byte) string {
	c := jsontext.Cursor{Data: value}
	return string(c.Str())
}

// decodeText returns the value of a member that must be a string.
func decodeText(value []byte) (string, error) {
	if !isText(value) {
		return "", errNoText
	}
	return unquote(value), nil
}

// decodeTexts returns the values of a member that must be a list of strings.
func decodeTexts(value []byte) ([]string, error) {
	if len(value) == 0 || value[0] != '[' {
		return nil, errNoTexts
	}
	out := []string{}
	c := jsontext.Cursor{Data: value}
	c.Open()
	for c.More(']') {
		if c.Peek() != '"' {
			return nil, errNoTexts
		}
		out = append(out, string(c.Str()))
	}
	return out, nil
}

// appendName appends the name of a member, after a comma unless it is the first.
func appendName(dst []byte, name string) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), name...)
	return append(dst, '"', ':')
}
