package jsontext_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

func TestCompact(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text, want string
		depth      int
	}{
		"scalar":        {`7`, `7`, 0},
		"outer space":   {" \t7\r\n", `7`, 0},
		"inner space":   {`{ "a b" : [ 1 , { } ] }`, `{"a b":[1,{}]}`, 3},
		"escaped quote": {`[ "\" \\" ]`, `["\" \\"]`, 1},
		"not UTF-8":     {"\"a\xff\xfe\"", "\"a\uFFFD\uFFFD\"", 0},
		"deepest":       {strings.Repeat("[", 5) + strings.Repeat("]", 5), strings.Repeat("[", 5) + strings.Repeat("]", 5), 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compact, depth, err := jsontext.Compact([]byte(test.text), 5)
			require.NoError(t, err)
			require.Equal(t, test.want, string(compact))
			require.Equal(t, test.depth, depth)
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "unexpected end of JSON",
		"[1":           "unexpected end of JSON",
		"[1]]":         `unexpected ']' at offset 3`,
		`{"a" 1}`:      `unexpected '1' at offset 5`,
		"[[[[[[]]]]]]": "nested deeper than 5",
		"\"a\nb\"":     `unexpected '\n' at offset 2`,
		`"\u12x4"`:     `unexpected 'x' at offset 5`,
	} {
		_, _, err := jsontext.Compact([]byte(text), 5)
		require.EqualError(t, err, "jsontext: "+want, text)
	}
}

func TestIsNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"0": true, "-0.5e+10": true, "": false, "01": false, "1\t": false, "+1": false, "1.": false, "-": false} {
		require.Equal(t, want, jsontext.IsNumber([]byte(text)), text)
	}
}

// TestScanner reads the members of an object with white space around them.
func TestScanner(t *testing.T) {
	t.Parallel()
	s := jsontext.NewScanner([]byte(` { "\u0061" : [ 1 ] , "b":{}} `), 10)
	require.NoError(t, s.Take('{'))
	key, err := s.Key()
	require.NoError(t, err)
	require.Equal(t, "a", string(key))
	v, err := s.Value()
	require.NoError(t, err)
	require.Equal(t, jsontext.Scanned{Text: []byte("[ 1 ]"), Depth: 1, Spaced: true}, v)
	require.Equal(t, "[1]", string(v.Compact()))
	require.Equal(t, byte(','), s.Peek())
	require.NoError(t, s.Take(','))
	_, err = s.Key()
	require.NoError(t, err)
	v, err = s.Value()
	require.NoError(t, err)
	require.Equal(t, jsontext.Scanned{Text: []byte("{}"), Depth: 1}, v)
	require.NoError(t, s.Take('}'))
	require.NoError(t, s.End())
	require.Zero(t, s.Peek())
}

// TestCursor reads all kinds of values, with and without white space.
func TestCursor(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"a\n":[1.5,"x\u00e4",null],"b":{"c":[[]]},"d":true}`,
		"{ \"a\\n\" :\t[ 1.5 , \"x\\u00e4\"\n, null ] , \"b\" : { \"c\" : [ [ ] ] } , \"d\":true }",
	} {
		c := jsontext.Cursor{Data: []byte(text)}
		c.Open()
		require.True(t, c.More('}'))
		require.Equal(t, "a\n", string(c.Key()))
		c.Open()
		require.True(t, c.More(']'))
		require.Equal(t, "1.5", string(c.Number()))
		require.True(t, c.More(']'))
		require.False(t, c.Null())
		require.Equal(t, "xä", string(c.Str()))
		require.True(t, c.More(']'))
		require.True(t, c.Null())
		require.False(t, c.More(']'))
		require.True(t, c.More('}'))
		require.Equal(t, "b", string(c.Key()))
		require.Equal(t, byte('{'), c.Peek())
		require.Equal(t, 3, c.Skip())
		require.True(t, c.More('}'))
		require.Equal(t, "d", string(c.AppendStr(nil)))
		c.Pos -= len(`"d"`)
		require.Equal(t, "d", string(c.Key()))
		require.Equal(t, "true", string(c.Raw()))
		require.False(t, c.More('}'))
		require.Equal(t, len(text), c.Pos)
	}
}

// AppendString writes the same text as JavaScript, and encoding/json reads the same string.
func TestAppendString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       `""`,
		"<a>&\u2028\u2029\x7f":   "\"<a>&\u2028\u2029\x7f\"",
		"\b\f\n\r\t\x00\x1f\"\\": `"\b\f\n\r\t\u0000\u001f\"\\"`,
		"ä\xff😀\xed\xa0\x80":     "\"ä\uFFFD😀\uFFFD\uFFFD\uFFFD\"",
	} {
		require.Equal(t, want, string(jsontext.AppendString(nil, text)))
		require.Equal(t, want, string(jsontext.AppendString(nil, []byte(text))))
		var back string
		require.NoError(t, json.Unmarshal([]byte(want), &back))
		require.Equal(t, strings.ToValidUTF8(strings.ReplaceAll(text, "\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"), "\uFFFD"), back)
	}
}

func TestAppendFloat(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]float64{
		"0": math.Copysign(0, -1), "1": 1, "-1.5": -1.5, "1e+21": 1e21, "100000000000000000000": 1e20, "0.000001": 1e-6, "1e-7": 1e-7, "1.5e-10": 1.5e-10, "5e-324": math.SmallestNonzeroFloat64,
	} {
		require.Equal(t, want, string(jsontext.AppendFloat(nil, f, 64)))
	}
	require.Equal(t, "0.1", string(jsontext.AppendFloat(nil, float64(float32(0.1)), 32)))
}

// FuzzValid checks that Valid, Compact and encoding/json accept the same texts.
func FuzzValid(f *testing.F) {
	for _, text := range []string{
		"", " ", "0", "-0.5e+1", "01", "1.", "-", "1e", ` "a\u00e4\n" `, `"\x"`, "\"\t\"", `"`, "[]", "[1,]", "[,]", "{}",
		`{"a":1,"b":[true,false,null]}`, `{"a"}`, `{"a":1,}`, `{a:1}`, "nul", "nulll", "[1] 2", "\"\xff\"", "\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 2000 { // perhaps nested too deeply
			return
		}
		require.Equal(t, json.Valid(text), jsontext.Valid(text, 1000), "%q", text)
	})
}
