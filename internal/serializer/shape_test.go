package serializer

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

type (
	shapeText   struct{ A int }
	shapeJSON   struct{ A int }
	shapePtr    struct{ A int }
	shapeReads  int
	shapeCustom struct{ A int }
	shapeKeys   string
)

func (shapeText) MarshalText() ([]byte, error)   { return []byte("text"), nil }
func (shapeJSON) MarshalJSON() ([]byte, error)   { return []byte("[1]"), nil }
func (*shapePtr) MarshalText() ([]byte, error)   { return []byte("text"), nil }
func (*shapeReads) UnmarshalText(_ []byte) error { return nil }

var shapeSerializer, _ = New(value.JSONSerializer(21, func(shapeCustom) (any, error) { return 1, nil }, func(any) (shapeCustom, error) { return shapeCustom{}, nil }))

func TestShape(t *testing.T) {
	t.Parallel()
	text, number := reflect.TypeFor[string](), reflect.TypeFor[int]()
	for name, c := range map[string]struct {
		typ  reflect.Type
		want Shape
	}{
		"bool":             {reflect.TypeFor[bool](), Shape{Kind: Boolean}},
		"integer":          {reflect.TypeFor[uint8](), Shape{Kind: Number}},
		"duration":         {reflect.TypeFor[time.Duration](), Shape{Kind: Number}},
		"float":            {reflect.TypeFor[float32](), Shape{Kind: Number}},
		"json.Number":      {reflect.TypeFor[json.Number](), Shape{Kind: Number, BuiltIn: true}},
		"string":           {text, Shape{Kind: String}},
		"bytes":            {reflect.TypeFor[[]byte](), Shape{Kind: String, Nil: true}},
		"bytes with text":  {reflect.TypeFor[[]shapeText](), Shape{Kind: Array, Nil: true, Elem: reflect.TypeFor[shapeText]()}},
		"array of bytes":   {reflect.TypeFor[[2]byte](), Shape{Kind: Tuple, Elem: reflect.TypeFor[byte](), Len: 2}},
		"slice":            {reflect.TypeFor[[]string](), Shape{Kind: Array, Nil: true, Elem: text}},
		"time":             {reflect.TypeFor[time.Time](), Shape{Kind: Date, BuiltIn: true}},
		"pointer to time":  {reflect.TypeFor[*time.Time](), Shape{Kind: Pointer, Nil: true, Elem: reflect.TypeFor[time.Time]()}},
		"big":              {reflect.TypeFor[big.Int](), Shape{Kind: BigInt, BuiltIn: true}},
		"url":              {reflect.TypeFor[url.URL](), Shape{Kind: URL, BuiltIn: true}},
		"regexp":           {reflect.TypeFor[value.RegExp](), Shape{Kind: RegExp, BuiltIn: true}},
		"file":             {reflect.TypeFor[*value.File](), Shape{Kind: File, BuiltIn: true, Nil: true}},
		"file by value":    {reflect.TypeFor[value.File](), Shape{Kind: Unsupported, BuiltIn: true}},
		"undefined":        {reflect.TypeFor[value.Undefined](), Shape{Kind: Undefined, BuiltIn: true}},
		"value":            {reflect.TypeFor[value.Value](), Shape{Kind: Unknown, BuiltIn: true}},
		"any":              {reflect.TypeFor[any](), Shape{Kind: Unknown, Nil: true}},
		"raw JSON":         {reflect.TypeFor[json.RawMessage](), Shape{Kind: Unknown}},
		"set":              {reflect.TypeFor[value.Set](), Shape{Kind: Set, BuiltIn: true, Nil: true}},
		"map":              {reflect.TypeFor[value.Map](), Shape{Kind: Map, BuiltIn: true, Nil: true}},
		"keys":             {reflect.TypeFor[map[string]struct{}](), Shape{Kind: Set, Nil: true, Elem: text}},
		"named keys":       {reflect.TypeFor[map[shapeKeys]int](), Shape{Kind: Record, Nil: true, Key: reflect.TypeFor[shapeKeys](), Elem: number}},
		"text keys":        {reflect.TypeFor[map[netip.Addr]int](), Shape{Kind: Record, Nil: true, Key: reflect.TypeFor[netip.Addr](), Elem: number}},
		"time keys":        {reflect.TypeFor[map[time.Time]int](), Shape{Kind: Map, Nil: true, Key: reflect.TypeFor[time.Time](), Elem: number}},
		"number keys":      {reflect.TypeFor[map[int]string](), Shape{Kind: Map, Nil: true, Key: number, Elem: text}},
		"MarshalText":      {reflect.TypeFor[shapeText](), Shape{Kind: String}},
		"MarshalJSON":      {reflect.TypeFor[shapeJSON](), Shape{Kind: Unknown}},
		"of the pointer":   {reflect.TypeFor[shapePtr](), Shape{Kind: Unknown}},
		"UnmarshalText":    {reflect.TypeFor[shapeReads](), Shape{Kind: Unknown}},
		"custom":           {reflect.TypeFor[shapeCustom](), Shape{Kind: Custom}},
		"chan":             {reflect.TypeFor[chan int](), Shape{Kind: Unsupported}},
		"function":         {reflect.TypeFor[func()](), Shape{Kind: Unsupported}},
		"complex":          {reflect.TypeFor[complex128](), Shape{Kind: Unsupported}},
		"struct, no field": {reflect.TypeFor[struct{ a int }](), Shape{Kind: Object, Members: []Member{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, shapeSerializer.Shape(c.typ))
		})
	}
}

type shapeZero []int

func (s shapeZero) IsZero() bool { return s != nil }

// A member is optional exactly if there is a value without it.
func TestShapeOfStruct(t *testing.T) {
	t.Parallel()
	type Inner struct {
		ID   int `json:"id"`
		Name int `json:"name"`
	}
	type Far struct {
		Note string
		Name int `json:"name"`
	}
	type outer struct {
		Inner
		*Far
		Name     string      `json:"name"`
		Hidden   int         `json:"-"`
		Quoted   *int64      `json:",string"`
		Custom   shapeCustom `json:"custom"`
		Text     string      `json:"text,omitempty"`
		Until    time.Time   `json:"until,omitzero"`
		Pair     [2]int      `json:"pair,omitempty"`
		None     [0]int      `json:"none,omitempty"`
		List     []int       `json:"list,omitempty"`
		Zero     []int       `json:"zero,omitzero"`
		Own      shapeZero   `json:"own,omitzero"`
		Encoded  value.Value `json:"encoded"`
		Absent   value.Undefined
		Pointer  **value.Value   `json:"pointer"`
		Pointers map[string]*int `json:"pointers"`
	}
	type member struct {
		name                         string
		optional, nilOmitted, quoted bool
	}
	var got []member
	for _, m := range shapeSerializer.Shape(reflect.TypeFor[outer]()).Members {
		got = append(got, member{m.Name, m.Optional, m.NilOmitted, m.Quoted})
		require.Equal(t, m.Type, reflect.TypeFor[outer]().FieldByIndex(m.Index).Type)
	}
	require.Equal(t, []member{
		{name: "id"},
		{name: "Note", optional: true},
		{name: "name"},
		{name: "Quoted", quoted: true},
		{name: "custom"},
		{name: "text", optional: true, nilOmitted: true},
		{name: "until", optional: true},
		{name: "pair", nilOmitted: true},
		{name: "none", optional: true, nilOmitted: true},
		{name: "list", optional: true, nilOmitted: true},
		{name: "zero", optional: true, nilOmitted: true},
		{name: "own", optional: true},
		{name: "encoded", optional: true},
		{name: "Absent", optional: true},
		{name: "pointer", optional: true},
		{name: "pointers"},
	}, got)
}

// The tag option omitempty has no effect on structs, however empty they are.
func TestShapeOfOmittedStruct(t *testing.T) {
	t.Parallel()
	for _, typ := range []reflect.Type{reflect.TypeFor[time.Time](), reflect.TypeFor[struct{}](), reflect.TypeFor[shapeCustom]()} {
		outer := reflect.StructOf([]reflect.StructField{{Name: "A", Type: typ, Tag: `json:",omitempty"`}})
		require.False(t, shapeSerializer.Shape(outer).Members[0].Optional, typ)
		sent, err := shapeSerializer.Append(nil, reflect.Zero(outer).Interface())
		require.NoError(t, err)
		require.Contains(t, string(sent), `"A":`)
	}
}
