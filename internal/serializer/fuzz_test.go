package serializer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// FuzzDecode checks that no message makes decoding panic; that a message is malformed for
// all targets or for none; and that a value decoded into any is the same after it was sent
// again, as far as JavaScript could send it at all.
func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile("testdata/serializer.json")
	require.NoError(f, err)
	var v vectors
	require.NoError(f, json.Unmarshal(data, &v))
	for _, list := range [][]vector{v.Roundtrip, v.Custom, v.Decode, v.DecodeErrors} {
		for _, vector := range list {
			f.Add([]byte(vector.Wire))
		}
	}
	s := readySerializer(f)
	f.Fuzz(func(t *testing.T, wire []byte) {
		var first, second any
		var malformed *serializer.MalformedError
		val, valueErr := s.Value(bytes.Clone(wire))
		if valueErr == nil {
			_, valueErr = val.Append(nil)
		}
		err := s.Decode(bytes.Clone(wire), &first)
		var typed struct {
			Big  map[any]any
			Rest []value.Value
			plain
		}
		typedErr := s.Decode(bytes.Clone(wire), &typed)
		if err != nil {
			require.ErrorAs(t, err, &malformed)
			if malformed.Err == nil {
				require.Error(t, valueErr)
				require.ErrorAs(t, typedErr, &malformed)
			}
			return
		}
		require.NoError(t, valueErr)
		if typedErr != nil && errors.As(typedErr, &malformed) {
			require.Error(t, malformed.Err)
		}
		for _, again := range []any{first, val} {
			text, err := s.Append(nil, again)
			require.NoError(t, err)
			require.NoError(t, s.Decode(text, &second))
			require.True(t, same(sendable(first), sendable(second)), "%s\n%#v\n%#v", text, first, second)
		}
	})
}

// readySerializer returns a serializer like that of the vectors, whose custom type accepts
// any content.
func readySerializer(f *testing.F) *serializer.Serializer {
	f.Helper()
	s, err := serializer.New(value.Serializer{
		Type: 20, GoType: personSerializer.GoType, Encode: personSerializer.Encode,
		Decode: func(v any) (any, error) {
			members, ok := v.(map[string]any)
			name, isText := members["name"].(string)
			if !ok || !isText {
				return nil, errors.New("no person")
			}
			return person{Name: name, Born: members["born"]}, nil
		},
	})
	require.NoError(f, err)
	return s
}

// FuzzDecodeForm is like FuzzDecode, for messages with up to three files. Each decoded file
// must be one of them.
func FuzzDecodeForm(f *testing.F) {
	data, err := os.ReadFile("testdata/serializer.json")
	require.NoError(f, err)
	var v vectors
	require.NoError(f, json.Unmarshal(data, &v))
	for _, vector := range append(v.FormData, v.FormDataErrors...) {
		for _, e := range vector.Entries {
			if e.Text != nil {
				f.Add([]byte(*e.Text), uint8(2))
			}
		}
	}
	f.Add([]byte(`{"json":[{},[[{},{}]],{"name":"a","born":{}}],"meta":[[7,1],[20,2]],"maps":[[1,0,1],[2,"born"],[0]]}`), uint8(3))
	s := readySerializer(f)
	given := []*value.File{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	f.Fuzz(func(t *testing.T, data []byte, count uint8) {
		files := given[:count%4]
		var first, second any
		var malformed *serializer.MalformedError
		val, valueErr := checkedValue(s, string(data), files)
		err := s.DecodeForm(bytes.Clone(data), files, &first)
		var typed struct {
			Files map[string][]*value.File
			Rest  []value.Value
		}
		typedErr := s.DecodeForm(bytes.Clone(data), files, &typed)
		if err != nil {
			require.ErrorAs(t, err, &malformed)
			if malformed.Err == nil {
				require.Error(t, valueErr)
				require.ErrorAs(t, typedErr, &malformed)
			}
			return
		}
		require.NoError(t, valueErr)
		for _, again := range []any{first, val} {
			encoded, err := s.Encode(again)
			require.NoError(t, err)
			for _, file := range encoded.Files {
				require.Contains(t, files, file)
			}
			require.NoError(t, s.DecodeForm(encoded.JSON, encoded.Files, &second))
			require.True(t, same(sendable(first), sendable(second)), "%s\n%#v\n%#v", encoded.JSON, first, second)
		}
	})
}

// sendable returns what is left of a value after JavaScript has sent it.
func sendable(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsInf(v, 0) {
			return nil
		}
	case []any:
		return sendableList(v)
	case value.Set:
		return value.Set(sendableList(v))
	case value.Map:
		m := value.Map{}
		for _, entry := range v {
			m = append(m, value.Entry{Key: sendable(entry.Key), Value: sendable(entry.Value)})
		}
		return m
	case map[string]any:
		object := map[string]any{}
		for key, member := range v {
			if member != (any)(value.Undefined{}) {
				object[key] = sendable(member)
			}
		}
		return object
	case person:
		return person{Name: v.Name, Born: sendable(v.Born)}
	}
	return v
}

func sendableList(list []any) []any {
	out := []any{}
	for _, element := range list {
		out = append(out, sendable(element))
	}
	return out
}

// FuzzCompatible checks that types with only plain JSON values are decoded as by
// encoding/json, and encoded to text that it decodes to the same value.
func FuzzCompatible(f *testing.F) {
	for _, text := range compatTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		requireCompatible(t, text)
		var v plain
		if json.Unmarshal(text, &v) != nil {
			return
		}
		wire, err := new(serializer.Serializer).Append(nil, v)
		require.NoError(t, err)
		var raw struct{ JSON json.RawMessage }
		require.NoError(t, json.Unmarshal(wire, &raw))
		require.JSONEq(t, standardText(t, v), string(raw.JSON))
	})
}
