package serializer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/big"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// vector is one case of testdata/serializer.json. Values are tagged: plain JSON, except for
// objects with the member $, which represent values that JSON does not have.
type vector struct {
	Name         string
	Value        any
	Wire         string
	WireTemplate string
	Decoded      any

	// Of a form.
	Entries    []entry
	DecodeOnly bool
}

// entry is a part of a form: a text or a file.
type entry struct {
	Name string
	Text *string
	File any
}

type vectors struct {
	Roundtrip, Custom, EncodeErrors, Decode, DecodeErrors, FormData, FormDataErrors []vector
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/serializer.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}

// person is the class of the vectors' custom serializer.
type person struct {
	Name string
	Born any
}

var personSerializer = value.Serializer{
	Type:   20,
	GoType: reflect.TypeFor[person](),
	Encode: func(v any) (any, error) {
		p := v.(person)
		return struct {
			Name string `json:"name"`
			Born any    `json:"born"`
		}{p.Name, p.Born}, nil
	},
	Decode: func(v any) (any, error) {
		members := v.(map[string]any)
		p := person{Name: members["name"].(string), Born: value.Undefined{}}
		if born, ok := members["born"]; ok {
			p.Born = born
		}
		return p, nil
	},
}

// native returns the Go value of a tagged value, as decoded into any.
func native(t *testing.T, tagged any) any {
	t.Helper()
	switch tagged := tagged.(type) {
	case []any:
		list := []any{}
		for _, element := range tagged {
			list = append(list, native(t, element))
		}
		return list
	case map[string]any:
		if tag, ok := tagged["$"].(string); ok {
			return nativeTag(t, tag, tagged)
		}
		object := map[string]any{}
		for key, member := range tagged {
			object[key] = native(t, member)
		}
		return object
	}
	return tagged
}

func nativeTag(t *testing.T, tag string, tagged map[string]any) any {
	t.Helper()
	text, _ := tagged["v"].(string)
	list, _ := tagged["v"].([]any)
	switch tag {
	case "file", "blob":
		name, _ := tagged["name"].(string)
		content, err := base64.StdEncoding.DecodeString(tagged["base64"].(string))
		require.NoError(t, err)
		return value.NewFile(name, tagged["type"].(string), content)
	case "undefined":
		return value.Undefined{}
	case "nan":
		return math.NaN()
	case "number":
		f, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		return f
	case "bigint":
		n, ok := new(big.Int).SetString(text, 10)
		require.True(t, ok)
		return n
	case "date":
		if tagged["v"] == nil {
			return value.InvalidDate{}
		}
		return date(t, text)
	case "url":
		u, err := url.Parse(text)
		require.NoError(t, err)
		return u
	case "regexp":
		source, _ := tagged["source"].(string)
		flags, _ := tagged["flags"].(string)
		return value.RegExp{Source: source, Flags: flags}
	case "set":
		return value.Set(native(t, list).([]any))
	case "map":
		m := value.Map{}
		for _, entry := range list {
			pair := entry.([]any)
			m = append(m, value.Entry{Key: native(t, pair[0]), Value: native(t, pair[1])})
		}
		return m
	case "object":
		object := map[string]any{}
		for _, entry := range list {
			pair := entry.([]any)
			object[pair[0].(string)] = native(t, pair[1])
		}
		return object
	case "utf16":
		var units []uint16
		for _, unit := range list {
			units = append(units, uint16(unit.(float64)))
		}
		return string(utf16.Decode(units))
	case "custom":
		members := native(t, tagged["v"]).(map[string]any)
		return person{Name: members["name"].(string), Born: members["born"]}
	case "instance":
		return native(t, tagged["v"])
	}
	require.Fail(t, "unknown tag", tag)
	return nil
}

// date parses the ISO format of the vectors in another way than the tested code.
func date(t *testing.T, text string) time.Time {
	t.Helper()
	sign, digits := 1, text[:4]
	rest := text[4:]
	if text[0] == '+' || text[0] == '-' {
		digits, rest = text[1:7], text[7:]
		if text[0] == '-' {
			sign = -1
		}
	}
	year, err := strconv.Atoi(digits)
	require.NoError(t, err)
	in2000, err := time.Parse("2006-01-02T15:04:05.000Z", "2000"+rest)
	require.NoError(t, err)
	return in2000.AddDate(sign*year-2000, 0, 0)
}

// requireSame compares values that were decoded into any; NaN is the same as NaN.
func requireSame(t *testing.T, want, got any) {
	t.Helper()
	require.True(t, same(want, got), "want %#v\n got %#v", want, got)
}

func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.IsNaN(a) && math.IsNaN(b))
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b) && b.Location() == time.UTC
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	case *value.File:
		b, ok := b.(*value.File)
		return ok && sameFile(a, b)
	case *url.URL:
		b, ok := b.(*url.URL)
		return ok && a.String() == b.String()
	case []any:
		b, ok := b.([]any)
		return ok && sameList(a, b)
	case value.Set:
		b, ok := b.(value.Set)
		return ok && sameList(a, b)
	case value.Map:
		b, ok := b.(value.Map)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i].Key, b[i].Key) || !same(a[i].Value, b[i].Value) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key := range a {
			if other, ok := b[key]; !ok || !same(a[key], other) {
				return false
			}
		}
		return true
	case person:
		b, ok := b.(person)
		return ok && a.Name == b.Name && same(a.Born, b.Born)
	}
	return reflect.DeepEqual(a, b)
}

func sameFile(a, b *value.File) bool {
	content, err := a.Bytes()
	other, otherErr := b.Bytes()
	return err == nil && otherErr == nil && bytes.Equal(content, other) && a.Name == b.Name && a.Type == b.Type
}

func sameList(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !same(a[i], b[i]) {
			return false
		}
	}
	return true
}
