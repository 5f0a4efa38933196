package serializer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// formOf returns the text of the part data of a recorded form, and its files by number.
func formOf(t *testing.T, v vector) (data string, files []*value.File) {
	t.Helper()
	get := func(name string) *entry {
		i := slices.IndexFunc(v.Entries, func(e entry) bool { return e.Name == name })
		if i < 0 {
			return nil
		}
		return &v.Entries[i]
	}
	if e := get("data"); e != nil && e.Text != nil {
		data = *e.Text
	}
	for i := range v.Entries {
		e := get(strconv.Itoa(i))
		if e == nil || e.File == nil {
			files = append(files, nil)
			continue
		}
		files = append(files, native(t, e.File).(*value.File))
	}
	return data, files
}

// TestVectorsFormEncode also covers SE-006.
func TestVectorsFormEncode(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	// Go maps have no order of insertion; structs have the recorded one.
	type ordered struct {
		F any `json:"f,omitempty"`
		S any `json:"s,omitempty"`
		D any `json:"d,omitempty"`
		N any `json:"n,omitempty"`
		M any `json:"m,omitempty"`
	}
	for _, v := range readVectors(t).FormData {
		if v.DecodeOnly {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			val := native(t, v.Value)
			if members, ok := val.(map[string]any); ok && len(members) > 1 {
				val = ordered{F: members["f"], S: members["s"], D: members["d"], N: members["n"], M: members["m"]}
			}
			encoded, err := s.Encode(val)
			require.NoError(t, err)
			data, files := formOf(t, v)
			require.Equal(t, data, string(encoded.JSON))
			require.Len(t, encoded.Files, len(v.Entries)-1)
			for i, f := range encoded.Files {
				name, typ := f.Name, f.Type
				if name == "" {
					name = "blob"
				}
				if typ == "" {
					typ = files[i].Type // the type in the recorded form is not this package's concern
				}
				content, err := f.Bytes()
				require.NoError(t, err)
				require.True(t, sameFile(value.NewFile(name, typ, content), files[i]))
			}

			_, err = s.Append(nil, val)
			require.ErrorIs(t, err, serializer.ErrFile)
		})
	}
}

func TestVectorsFormDecode(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, v := range readVectors(t).FormData {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			data, files := formOf(t, v)
			if v.Name == "blob in object with others" {
				files[0].Type = "application/octet-stream" // as when the form is read
			}
			want := native(t, v.Decoded)
			var got any
			require.NoError(t, s.DecodeForm([]byte(data), files, &got))
			requireSame(t, want, got)

			// The result is the same for a Value, and for one that is sent on.
			val, err := s.FormValue([]byte(data), files)
			require.NoError(t, err)
			require.NoError(t, val.Decode(&got))
			requireSame(t, want, got)
			again, err := s.Encode([]any{"first", val})
			require.NoError(t, err)
			require.NoError(t, s.DecodeForm(again.JSON, again.Files, &got))
			requireSame(t, []any{"first", want}, got)
		})
	}
}

// TestVectorsFormErrors covers SE-005 for maps. Forms whose part data is missing or a file
// have an empty text here; package form also refuses them.
func TestVectorsFormErrors(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, v := range readVectors(t).FormDataErrors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			data, files := formOf(t, v)
			var got any
			var malformed *serializer.MalformedError
			require.ErrorAs(t, s.DecodeForm([]byte(data), files, &got), &malformed)
			require.Nil(t, got)
			_, err := checkedValue(s, data, files)
			require.ErrorAs(t, err, &malformed)
		})
	}
}

// TestMapsStrictly tests other kinds of maps, also together with meta.
func TestMapsStrictly(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(value.Serializer{
		Type: 20, GoType: personSerializer.GoType, Encode: personSerializer.Encode,
		Decode: func(v any) (any, error) {
			f, _ := v.(*value.File)
			return person{Name: "has a file", Born: f}, nil
		},
	})
	require.NoError(t, err)
	one, two := value.NewFile("1", "", nil), value.NewFile("2", "", nil)
	tests := map[string]struct {
		data string
		want any // nil: malformed
	}{
		"byte order mark":         {"\uFEFF" + `{"json":{},"maps":[[]]}`, one},
		"null maps":               {`{"json":1,"maps":null}`, 1.0},
		"no maps":                 {`{"json":{}}`, map[string]any{}},
		"not an envelope":         {`[1]`, value.Undefined{}},
		"spaces":                  {` { "maps" : [ [ "a" , 0 ] ] , "json" : { "a" : [ { } ] } } `, map[string]any{"a": []any{one}}},
		"fewer than files":        {`{"json":[{}],"maps":[[0]]}`, []any{one}},
		"in place of a text":      {`{"json":["x",["y"]],"maps":[[0],[1]]}`, []any{one, two}},
		"index as a text":         {`{"json":[{}],"maps":[["0"]]}`, []any{one}},
		"key as a number":         {`{"json":{"7":{}},"maps":[[7]]}`, map[string]any{"7": one}},
		"the last for a place":    {`{"json":[{}],"maps":[[0],[0]]}`, []any{two}},
		"over a value with one":   {`{"json":{"a":{"b":{}}},"maps":[["a","b"],["a"]]}`, map[string]any{"a": two}},
		"the last of equal keys":  {`{"json":{"a":{"b":1},"a":{}},"maps":[["a"]]}`, map[string]any{"a": one}},
		"element of a set":        {`{"json":[{},{}],"meta":[[6]],"maps":[[1],[0]]}`, value.Set{two, one}},
		"in a custom type":        {`{"json":{},"meta":[[20]],"maps":[[]]}`, person{Name: "has a file", Born: one}},
		"unknown type at a file":  {`{"json":{},"meta":[[99]],"maps":[[]]}`, one},
		"below a file":            {`{"json":{"a":{"b":{}}},"maps":[["a"],["a","b"]]}`, nil},
		"meta below a file":       {`{"json":{"a":["1"]},"meta":[[0,"a",0]],"maps":[["a"]]}`, nil},
		"meta at a file":          {`{"json":[null],"meta":[[3,0]],"maps":[[0]]}`, nil},
		"file as an entry":        {`{"json":[{}],"meta":[[7]],"maps":[[0]]}`, nil},
		"below a text":            {`{"json":"abc","maps":[[0]]}`, nil},
		"length of an array":      {`{"json":[],"maps":[["length"]]}`, nil},
		"index out of range":      {`{"json":[{}],"maps":[[1]]}`, nil},
		"dropped with equal keys": {`{"json":{"a":{"b":{}},"a":{}},"maps":[["a","b"]]}`, nil},
		"path no array":           {`{"json":{},"maps":["a"]}`, nil},
		"segment null":            {`{"json":{"null":{}},"maps":[[null]]}`, nil},
		"maps is an object":       {`{"json":{},"maps":{}}`, nil},
		"maps is false":           {`{"json":{},"maps":false}`, nil},
		"more than files":         {`{"json":[1,2,3],"maps":[[0],[1],[2]]}`, nil},
		"root without JSON":       {`{"maps":[[]]}`, nil},
		"member without JSON":     {`{"maps":[["a"]]}`, nil},
		"empty text":              {``, nil},
		"custom below a file":     {`{"json":{"a":{}},"meta":[[20,"a"]],"maps":[[]]}`, nil},
		"custom then meta inside": {`{"json":{"a":null},"meta":[[20],[3,"a"]],"maps":[["a"]]}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got any
			err := s.DecodeForm([]byte(test.data), []*value.File{one, two}, &got)
			val, valueErr := checkedValue(s, test.data, []*value.File{one, two})
			if test.want == nil {
				var malformed *serializer.MalformedError
				require.ErrorAs(t, err, &malformed)
				require.ErrorAs(t, valueErr, &malformed)
				return
			}
			require.NoError(t, err)
			requireSame(t, test.want, got)
			require.NoError(t, valueErr)
			require.NoError(t, val.Decode(&got))
			requireSame(t, test.want, got)
		})
	}
}

// checkedValue returns the Value of a form after checking that it can be sent on.
func checkedValue(s *serializer.Serializer, data string, files []*value.File) (value.Value, error) {
	val, err := s.FormValue([]byte(data), files)
	if err == nil {
		_, err = s.Encode(val)
	}
	return val, err
}

// A message that is not a form has no files, whatever its maps are.
func TestMapsOutsideOfForms(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, maps := range []string{`[["a"]]`, `[["b"]]`, `5`} {
		wire := []byte(`{"json":{"a":{}},"maps":` + maps + `}`)
		var got any
		require.NoError(t, s.Decode(wire, &got))
		require.Equal(t, map[string]any{"a": map[string]any{}}, got)
		val, err := s.Value(wire)
		require.NoError(t, err)
		require.NoError(t, val.Decode(&got))
		require.Equal(t, map[string]any{"a": map[string]any{}}, got)
	}
}

// A form with many files is made to be costly. Anything that grows with the square of their
// number would take minutes here.
func TestHostileForm(t *testing.T) {
	t.Parallel()
	const count = 20_000
	files := slices.Repeat([]*value.File{{Name: "f"}}, count)
	build := func(element string, path func(int) string) []byte {
		elements, maps := []string{}, []string{}
		for i := range count {
			elements = append(elements, element)
			maps = append(maps, path(i))
		}
		return []byte(`{"json":[` + strings.Join(elements, ",") + `],"maps":[` + strings.Join(maps, ",") + `]}`)
	}
	tests := map[string][]byte{
		"one each":       build(`{}`, func(i int) string { return fmt.Sprintf("[%d]", i) }),
		"in objects":     build(`{"a":{"b":{}}}`, func(i int) string { return fmt.Sprintf(`[%d,"a","b"]`, i) }),
		"all in one":     build(`{}`, func(int) string { return "[7]" }),
		"from the end":   build(`[{}]`, func(i int) string { return fmt.Sprintf("[%d,0]", count-1-i) }),
		"paths too long": build(`1`, func(int) string { return "[0" + strings.Repeat(",0", 20) + "]" }),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			for _, target := range []any{new(any), new(value.Value), new([]value.Value), new([]map[string]value.Value), new([]json.RawMessage)} {
				_ = new(serializer.Serializer).DecodeForm(data, files, target) // some are refused: only the cost matters
			}
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}
