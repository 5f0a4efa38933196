package serializer_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type call struct {
	Path  []string    `json:"path"`
	Input value.Value `json:"input"`
}

func TestValueCapturesPart(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	tests := map[string]struct {
		wire, input, sent string
		undefined         bool
	}{
		"plain":             {`{"json":{"path":["a"],"input":{"a":[1, 2]}}}`, `{"json":{"a":[1,2]}}`, "", false},
		"meta below":        {`{"json":{"path":["a"],"input":{"d":"x","l":["1"]}},"meta":[[0,"input","l","0"],[1,"input","d"]]}`, `{"json":{"d":"x","l":["1"]},"meta":[[0,"l",0],[1,"d"]]}`, `{"json":{"path":["a"],"input":{"d":"x","l":["1"]}},"meta":[[0,"input","l",0],[1,"input","d"]]}`, false},
		"meta at":           {`{"json":{"path":["a"],"input":["1"]},"meta":[[0,"input",0],[6,"input"]]}`, `{"json":["1"],"meta":[[0,0],[6]]}`, "", false},
		"custom":            {`{"json":{"path":["a"],"input":{"name":"A"}},"meta":[[20,"input"]]}`, `{"json":{"name":"A"},"meta":[[20]]}`, "", false},
		"unknown type":      {`{"json":{"path":["a"],"input":{"name":"A"}},"meta":[[21,"input"],[99,"x"]]}`, `{"json":{"name":"A"}}`, `{"json":{"path":["a"],"input":{"name":"A"}}}`, false},
		"absent":            {`{"json":{"path":["a"]}}`, `{}`, "", true},
		"present undefined": {`{"json":{"path":["a"],"input":null},"meta":[[3,"input"]]}`, `{}`, "", true},
		"null":              {`{"json":{"path":["a"],"input":null}}`, `{"json":null}`, "", false},
		"odd keys":          {`{"json":{"path":["a"],"input":{"\"\u2028\n":"1"}},"meta":[[0,"input","\"\u2028\n"]]}`, `{"json":{"\"\u2028\n":"1"},"meta":[[0,"\"` + "\u2028" + `\n"]]}`, `{"json":{"path":["a"],"input":{"\"\u2028\n":"1"}},"meta":[[0,"input","\"` + "\u2028" + `\n"]]}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got call
			require.NoError(t, s.Decode([]byte(test.wire), &got))
			require.Equal(t, []string{"a"}, got.Path)
			require.Equal(t, test.input, text(t, got.Input))
			require.Equal(t, test.undefined, got.Input.IsUndefined())

			again, err := s.Append(nil, got)
			require.NoError(t, err)
			want := test.sent
			if want == "" {
				want = string(withoutSpaces(test.wire))
			}
			require.Equal(t, want, string(again))
		})
	}
}

// text returns the envelope of a value.
func text(t *testing.T, v value.Value) string {
	t.Helper()
	wire, err := v.Append(nil)
	require.NoError(t, err)
	return string(wire)
}

func withoutSpaces(text string) (out []byte) {
	for i := range len(text) {
		if text[i] != ' ' {
			out = append(out, text[i])
		}
	}
	return out
}

func TestValueDecode(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	var got call
	require.NoError(t, s.Decode([]byte(`{"json":{"input":{"name":"A","born":"2024-01-01"}},"meta":[[1,"input","born"],[20,"input"]]}`), &got))
	var p person
	require.NoError(t, got.Input.Decode(&p))
	require.Equal(t, person{Name: "A", Born: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}, p)

	var typeError *serializer.TypeError
	require.ErrorAs(t, got.Input.Decode(new(int)), &typeError)
	require.Equal(t, []serializer.Issue{{Message: "expected integer, received custom type 20", Path: []any{}}}, typeError.Issues)

	var zero value.Value
	require.True(t, zero.IsUndefined())
	require.Equal(t, `{}`, text(t, zero))
	var v any
	require.NoError(t, zero.Decode(&v))
	require.Equal(t, value.Undefined{}, v)
}

// A Value of a whole message is sent on unchanged.
func TestValueRoot(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, wire := range []string{`{}`, `{"json":null}`, `{"json":["1",{"a":null}],"meta":[[0,0],[2,1,"a"],[6]]}`} {
		val, err := s.Value([]byte(wire))
		require.NoError(t, err)
		require.Equal(t, wire, text(t, val))
		var same value.Value
		require.NoError(t, s.Decode([]byte(wire), &same))
		require.Equal(t, wire, text(t, same))
		out, err := s.Append(nil, val)
		require.NoError(t, err)
		require.Equal(t, wire, string(out))
	}
}

// Undefined alone is sent as {}, whatever its Go value is.
func TestUndefinedAlone(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	present, err := s.Value([]byte(`{"json":null,"meta":[[3]]}`))
	require.NoError(t, err)
	require.True(t, present.IsUndefined())
	absent, err := s.Value(nil)
	require.NoError(t, err)
	unknown, err := s.Value([]byte(`{"meta":[[99,"x"]]}`))
	require.NoError(t, err)
	for name, v := range map[string]any{
		"undefined": value.Undefined{}, "pointer": &value.Undefined{}, "present": serializer.PresentUndefined{},
		"zero value": value.Value{}, "present value": present, "absent value": &absent, "unknown type": unknown,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire, err := s.Append(nil, v)
			require.NoError(t, err)
			require.Equal(t, `{}`, string(wire))
			if v, ok := v.(value.Value); ok {
				require.Equal(t, `{}`, text(t, v))
				require.True(t, v.IsUndefined())
			}
		})
	}
}

// A Value that is not decoded costs no more than its text. One that is malformed cannot be
// sent on.
func TestValueUnchecked(t *testing.T) { //nolint:paralleltest // it counts allocations
	s := new(serializer.Serializer)
	wire := []byte(`{"json":1,"meta":[` + strings.Repeat(`[0,"a","b","c"],`, 10_000) + `[0]]}`)
	var val value.Value
	allocations := testing.AllocsPerRun(10, func() {
		var err error
		val, err = s.Value(wire)
		require.NoError(t, err)
	})
	require.LessOrEqual(t, allocations, 1.0)

	var malformed *serializer.MalformedError
	require.ErrorAs(t, val.Decode(new(any)), &malformed)
	require.False(t, val.IsUndefined())
	dst, err := val.Append([]byte("before"))
	require.ErrorAs(t, err, &malformed)
	require.Equal(t, "before", string(dst))
	_, err = s.Append(nil, []any{val})
	require.ErrorAs(t, err, &malformed)
}

// Values can be part of sets, maps and custom types, and can be captured from there.
func TestValueAnywhere(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	inner, err := s.Append(nil, []any{big.NewInt(7)})
	require.NoError(t, err)
	val, err := s.Value(inner)
	require.NoError(t, err)

	wire, err := s.Append(nil, map[int]any{1: value.Set{val}, 2: person{Name: "x", Born: &val}})
	require.NoError(t, err)
	require.Equal(t, `{"json":[[1,[["7"]]],[2,{"name":"x","born":["7"]}]],"meta":[[0,0,1,0,0],[6,0,1],[0,1,1,"born",0],[20,1,1],[7]]}`, string(wire))

	var byNumber map[int]*value.Value
	require.NoError(t, s.Decode(wire, &byNumber))
	require.Equal(t, `{"json":[["7"]],"meta":[[0,0,0],[6]]}`, text(t, *byNumber[1]))
	require.Equal(t, `{"json":{"name":"x","born":["7"]},"meta":[[0,"born",0],[20]]}`, text(t, *byNumber[2]))
}
