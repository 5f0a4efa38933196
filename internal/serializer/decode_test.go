package serializer_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func decodeAs[T any](wire string) (any, error) {
	var v T
	err := new(serializer.Serializer).Decode([]byte(wire), &v)
	return v, err
}

func TestDecodeTyped(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	tests := map[string]struct {
		decode func(string) (any, error)
		wire   string
		want   any
	}{
		"date":                 {decodeAs[time.Time], `{"json":"2024-01-02T03:04:05.678Z","meta":[[1]]}`, at},
		"date without meta":    {decodeAs[time.Time], `{"json":"2024-01-02T03:04:05.678Z"}`, at},
		"date of a day":        {decodeAs[time.Time], `{"json":"+002024-01"}`, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		"midnight at the end":  {decodeAs[time.Time], `{"json":"2023-12-31T24:00"}`, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		"invalid date":         {decodeAs[value.InvalidDate], `{"json":null,"meta":[[1]]}`, value.InvalidDate{}},
		"bigint":               {decodeAs[big.Int], `{"json":"-12","meta":[[0]]}`, *big.NewInt(-12)},
		"bigint from number":   {decodeAs[*big.Int], `{"json":12}`, big.NewInt(12)},
		"bigint into int":      {decodeAs[int16], `{"json":"12","meta":[[0]]}`, int16(12)},
		"url":                  {decodeAs[url.URL], `{"json":"http://A.b","meta":[[4]]}`, *mustURL("http://a.b/")},
		"url without meta":     {decodeAs[*url.URL], `{"json":"http://a.b/"}`, mustURL("http://a.b/")},
		"url stray percent":    {decodeAs[*url.URL], `{"json":"http://a.b/100%","meta":[[4]]}`, mustURL("http://a.b/100%25")},
		"regexp":               {decodeAs[value.RegExp], `{"json":"/a/ig","meta":[[5]]}`, value.RegExp{Source: "a", Flags: "gi"}},
		"set":                  {decodeAs[value.Set], `{"json":["1","1","1",null,null],"meta":[[0,0],[0,1],[3,4],[6]]}`, value.Set{big.NewInt(1), "1", nil, value.Undefined{}}},
		"go set of texts":      {decodeAs[map[string]struct{}], `{"json":["a","a"],"meta":[[6]]}`, map[string]struct{}{"a": {}}},
		"go set":               {decodeAs[map[int]struct{}], `{"json":[1,2],"meta":[[6]]}`, map[int]struct{}{1: {}, 2: {}}},
		"go set from object":   {decodeAs[map[string]struct{}], `{"json":{"a":{}}}`, map[string]struct{}{"a": {}}},
		"map":                  {decodeAs[value.Map], `{"json":[["1",1],["1",2]],"meta":[[0,0,0],[0,1,0],[7]]}`, value.Map{{Key: big.NewInt(1), Value: 2.0}}},
		"go map":               {decodeAs[map[int]string], `{"json":[[1,"a"],{"1":"b","0":2,"x":3}],"meta":[[7]]}`, map[int]string{1: "a", 2: "b"}},
		"go map from object":   {decodeAs[map[int8]string], `{"json":{"1":"a"}}`, map[int8]string{1: "a"}},
		"map with text keys":   {decodeAs[map[string]int], `{"json":[["a",1]],"meta":[[7]]}`, map[string]int{"a": 1}},
		"map by date":          {decodeAs[map[time.Time]int], `{"json":[["2024-01-02T03:04:05.678Z",1]],"meta":[[1,0,0],[7]]}`, map[time.Time]int{at: 1}},
		"map by addresses":     {decodeAs[map[netip.Addr]int], `{"json":{"1.2.3.4":1}}`, map[netip.Addr]int{netip.MustParseAddr("1.2.3.4"): 1}},
		"undefined in pointer": {decodeAs[struct{ A *int }], `{"json":{"A":null},"meta":[[3,"A"]]}`, struct{ A *int }{}},
		"undefined in any":     {decodeAs[any], `{}`, value.Undefined{}},
		"undefined pointer":    {decodeAs[*int], `{}`, (*int)(nil)},
		"undefined":            {decodeAs[value.Undefined], `{}`, value.Undefined{}},
		"no data":              {decodeAs[any], ``, value.Undefined{}},
		"short map entry":      {decodeAs[map[string]*int], `{"json":[["a"]],"meta":[[7]]}`, map[string]*int{"a": nil}},
		"null":                 {decodeAs[value.Set], `{"json":null}`, value.Set(nil)},
		"unmarshaler and meta": {decodeAs[json.RawMessage], `{"json":{ "a":"1" },"meta":[[0,"a"]]}`, json.RawMessage(`{"a":"1"}`)},
		"text and meta":        {decodeAs[netip.Addr], `{"json":"1.2.3.4"}`, netip.MustParseAddr("1.2.3.4")},
		"numeric segments":     {decodeAs[map[string]*big.Int], `{"json":{"0":"1","1.5":"2","1e+21":"3"},"meta":[[0,0],[0,1.50],[0,1e21]]}`, map[string]*big.Int{"0": big.NewInt(1), "1.5": big.NewInt(2), "1e+21": big.NewInt(3)}},
		"equal keys":           {decodeAs[map[string]any], `{"json":{"a":{"b":1},"a":{"b":"2"}},"meta":[[0,"a","b"]]}`, map[string]any{"a": map[string]any{"b": big.NewInt(2)}}},
		"escaped names":        {decodeAs[[]*big.Int], `{"\u006ason":["1"],"meta":[[0,0]],"meta ":5}`, []*big.Int{big.NewInt(1)}},
		"folded name":          {decodeAs[struct{ Aé *big.Int }], `{"json":{"aÉ":"1"},"meta":[[0,"aÉ"]]}`, struct{ Aé *big.Int }{big.NewInt(1)}},
		"byte order mark":      {decodeAs[string], "\uFEFF{\"json\":\"\uFEFFx\"}", "\uFEFFx"},
		"only a mark":          {decodeAs[any], "\uFEFF", value.Undefined{}},
		"white space":          {decodeAs[[]any], " {\n\t\"json\" : [ \"a b\" , { \"c\" : \"1\" } ] ,\r\"meta\" : [ [ 0 , 1 , \"c\" ] ] } ", []any{"a b", map[string]any{"c": big.NewInt(1)}}},
		"no utf-8":             {decodeAs[string], "{\"json\":\"a\xff\xfe\"}", "a\uFFFD\uFFFD"},
		"date with offset":     {decodeAs[time.Time], `{"json":"2024-01-02 01:04:05.67899-02:00","meta":[[1]]}`, at},
		"date of mail":         {decodeAs[any], `{"json":"Tue, 02 Jan 2024 05:04:05 +0200","meta":[[1]]}`, at.Truncate(time.Second)},
		"date never was":       {decodeAs[any], `{"json":"+999999-01-01","meta":[[1]]}`, value.InvalidDate{}},
		"hour 24 and more":     {decodeAs[any], `{"json":"2024-01-02T24:01Z","meta":[[1]]}`, value.InvalidDate{}},
		"month 13":             {decodeAs[any], `{"json":"2024-13","meta":[[1]]}`, value.InvalidDate{}},
		"go map by uint":       {decodeAs[map[uint8]bool], `{"json":{"255":true}}`, map[uint8]bool{255: true}},
		"nulls are no-ops":     {decodeAs[[]big.Int], `{"json":[null]}`, []big.Int{{}}},
		"null url":             {decodeAs[[]url.URL], `{"json":[null]}`, []url.URL{{}}},
		"null channel":         {decodeAs[chan int], `{"json":null}`, (chan int)(nil)},
		"null pointer":         {decodeAs[*big.Int], `{"json":null}`, (*big.Int)(nil)},
		"special in interface": {decodeAs[fmt.Stringer], `{"json":"5","meta":[[0]]}`, big.NewInt(5)},
		"type as fraction":     {decodeAs[any], `{"json":"1","meta":[[0.5],[1e99],[-1],[0e0]]}`, big.NewInt(1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.decode(test.wire)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestDecodeIssues(t *testing.T) {
	t.Parallel()
	type inner struct {
		N int8 `json:"n"`
	}
	type target struct {
		Name  string          `json:"name"`
		List  []inner         `json:"list"`
		ByKey map[string]uint `json:"byKey"`
		At    time.Time       `json:"at"`
		Map   map[string]bool `json:"map"`
		Set   value.Set       `json:"set"`
		Big   *big.Int        `json:"big"`
		URL   url.URL         `json:"url"`
		F     float32         `json:"f"`
		Q     int             `json:"q,string"`
		Any   map[any]any     `json:"any"`
		Re    value.RegExp    `json:"re"`
		IP    netip.Addr      `json:"ip"`
		Bytes []byte          `json:"bytes"`
		Err   error           `json:"err"`
		Bool  bool            `json:"bool"`
		Never chan int        `json:"never"`
		Bad   struct {
			value.InvalidDate `json:"date"`
		} `json:"bad"`
		Nothing value.Undefined `json:"nothing"`
		ByByte  map[uint8]int   `json:"byByte"`
		Num     json.Number     `json:"num"`
	}
	issue := func(message string, path ...any) serializer.Issue {
		return serializer.Issue{Message: message, Path: append([]any{}, path...)}
	}
	tests := map[string]struct {
		json, meta string
		want       []serializer.Issue
	}{
		"root":             {`[1]`, `[]`, []serializer.Issue{issue("expected object, received array")}},
		"undefined root":   {`null`, `[[3]]`, []serializer.Issue{issue("expected object, received undefined")}},
		"several":          {`{"NAME":1,"list":[{"n":1},{"n":"x"},{"n":1.5},{"n":300}],"byKey":{"a":-1,"b":true}}`, `[]`, []serializer.Issue{issue("expected string, received number", "NAME"), issue("expected integer, received string", "list", 1, "n"), issue("expected integer, received number", "list", 2, "n"), issue("expected int8, received number out of range", "list", 3, "n"), issue("expected uint, received number out of range", "byKey", "a"), issue("expected integer, received boolean", "byKey", "b")}},
		"undefined":        {`{"name":null}`, `[[3,"name"]]`, []serializer.Issue{issue("expected string, received undefined", "name")}},
		"nan":              {`{"list":[{"n":null}]}`, `[[2,"list",0,"n"]]`, []serializer.Issue{issue("expected integer, received nan", "list", 0, "n")}},
		"date as text":     {`{"name":"2024-01-01"}`, `[[1,"name"]]`, []serializer.Issue{issue("expected string, received date", "name")}},
		"invalid date":     {`{"at":null}`, `[[1,"at"]]`, []serializer.Issue{issue("expected date, received invalid date", "at")}},
		"no date":          {`{"at":"soon"}`, `[[1,"at"]]`, []serializer.Issue{issue("expected date, received invalid date", "at")}},
		"text as date":     {`{"at":"soon"}`, `[]`, []serializer.Issue{issue("expected date, received string", "at")}},
		"set as list":      {`{"list":[]}`, `[[6,"list"]]`, []serializer.Issue{issue("expected array, received set", "list")}},
		"list as set":      {`{"set":[]}`, `[]`, []serializer.Issue{issue("expected set, received array", "set")}},
		"in map":           {`{"map":[["a",1],[2,true],["b"]]}`, `[[7,"map"]]`, []serializer.Issue{issue("expected boolean, received number", "map", 0, 1), issue("expected string, received number", "map", 1, 0), issue("expected boolean, received undefined", "map", 2, 1)}},
		"unfit key":        {`{"any":[[[],1]]}`, `[[7,"any"]]`, []serializer.Issue{issue("expected a key that can be compared", "any", 0)}},
		"fraction bigint":  {`{"big":1.5,"url":"x y","f":1e39,"q":1,"re":"a"}`, `[]`, []serializer.Issue{issue("expected bigint, received number", "big"), issue("expected url, received string", "url"), issue("expected float32, received number out of range", "f"), issue("expected string, received number", "q"), issue("expected regexp, received string", "re")}},
		"quoted":           {`{"q":"x"}`, `[]`, []serializer.Issue{issue("expected JSON in a string, received string", "q")}},
		"quoted text":      {`{"q":"true"}`, `[]`, []serializer.Issue{issue("expected integer, received boolean", "q")}},
		"methods":          {`{"ip":"x","bytes":"*"}`, `[]`, []serializer.Issue{issue(`ParseAddr("x"): unable to parse IP`, "ip"), issue("expected base64 text", "bytes")}},
		"interface":        {`{"err":{}}`, `[]`, []serializer.Issue{issue("expected null, received object", "err")}},
		"other kinds":      {`{"bool":1,"never":1,"nothing":1,"byByte":{"256":1},"num":"x","bytes":1,"ip":1,"big":"1","url":1}`, `[]`, []serializer.Issue{issue("expected boolean, received number", "bool"), issue("expected nothing, received number", "never"), issue("expected undefined, received number", "nothing"), issue("expected a key that is uint8", "byByte", "256"), issue("expected number, received string", "num"), issue("expected string, received number", "bytes"), issue("expected string, received number", "ip"), issue("expected bigint, received string", "big"), issue("expected url, received number", "url")}},
		"no invalid date":  {`{"bad":{"date":null}}`, `[]`, []serializer.Issue{issue("expected invalid date, received null", "bad", "date")}},
		"a valid date":     {`{"bad":{"date":"2024"}}`, `[[1,"bad","date"]]`, []serializer.Issue{issue("expected invalid date, received date", "bad", "date")}},
		"url in interface": {`{"err":"http://a"}`, `[[4,"err"]]`, []serializer.Issue{issue("expected null, received url", "err")}},
		"empty key":        {`{"byKey":{"":true}}`, `[]`, []serializer.Issue{issue("expected integer, received boolean", "byKey", "")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decodeAs[target](fmt.Sprintf(`{"json":%s,"meta":%s}`, test.json, test.meta))
			var typeError *serializer.TypeError
			require.ErrorAs(t, err, &typeError)
			require.Equal(t, test.want, typeError.Issues)
		})
	}
}

func TestDecodeFillsWhatFits(t *testing.T) {
	t.Parallel()
	got := struct{ A, B, C int }{C: 3}
	err := new(serializer.Serializer).Decode([]byte(`{"json":{"A":"x","B":2,"C":null}}`), &got)
	require.EqualError(t, err, "serializer: decode: A: expected integer, received string")
	require.Equal(t, struct{ A, B, C int }{0, 2, 3}, got)
}

func TestDecodeTarget(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]any{"nil": nil, "value": 1, "nil pointer": (*int)(nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, new(serializer.Serializer).Decode([]byte(`{}`), target), "pointer")
		})
	}
}

func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"no json":              `{"json":`,
		"trailing text":        `{"json":1} x`,
		"only space":           ` `,
		"two marks":            "\uFEFF\uFEFF{}",
		"mark inside":          "{\uFEFF}",
		"bad escape":           `{"json":"\x"}`,
		"bad unicode":          `{"json":"\u12g4"}`,
		"control character":    "{\"json\":\"\n\"}",
		"leading zero":         `{"json":01}`,
		"bare point":           `{"json":1.}`,
		"bare exponent":        `{"json":1e}`,
		"trailing comma":       `{"json":[1,]}`,
		"no colon":             `{"json" 1}`,
		"unquoted key":         `{json:1}`,
		"bad literal":          `{"json":nul}`,
		"bad extra member":     `{"json":1,"x":[}`,
		"bad scalar":           `tru`,
		"item not an array":    `{"json":1,"meta":[1]}`,
		"segment true":         `{"json":{"true":"1"},"meta":[[0,true]]}`,
		"number out of range":  `{"json":{},"meta":[[0,1e999]]}`,
		"index with zeros":     `{"json":["1"],"meta":[[0,"00"]]}`,
		"meta in first of two": `{"json":{"a":{"b":"1"},"a":{}},"meta":[[0,"a","b"]]}`,
		"meta in a date":       `{"json":"2024","meta":[[1],[0,"a"]]}`,
		"set in set":           `{"json":[],"meta":[[6],[6]]}`,
		"map of sets":          `{"json":[[]],"meta":[[6,0],[7]]}`,
		"url without host":     `{"json":"http://","meta":[[4]]}`,
		"too deep":             `{"json":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}`,
		"too long a path":      `{"json":1,"meta":[[0` + strings.Repeat(`,0`, 1001) + `]]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got any
			var malformed *serializer.MalformedError
			require.ErrorAs(t, new(serializer.Serializer).Decode([]byte(wire), &got), &malformed)
			require.Nil(t, got)
		})
	}
}

func TestCustomDecode(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	wire := []byte(`{"json":{"name":"Ann","born":null},"meta":[[20]]}`)
	ann := person{Name: "Ann"}

	var val person
	require.NoError(t, s.Decode(wire, &val))
	require.Equal(t, ann, val)
	var pointer *person
	require.NoError(t, s.Decode(wire, &pointer))
	require.Equal(t, &ann, pointer)
	var other struct{ Name int }
	require.EqualError(t, s.Decode(wire, &other), "serializer: decode: expected object, received custom type 20")
	var otherPointer **int
	require.EqualError(t, s.Decode(wire, &otherPointer), "serializer: decode: expected integer, received custom type 20")
	var unread struct{}
	require.NoError(t, s.Decode([]byte(`{"json":{"a":{}},"meta":[[20,"a"]]}`), &unread), "an unread member is not decoded")
}

func TestCustomDecodeError(t *testing.T) {
	t.Parallel()
	failing := personSerializer
	failing.Decode = func(any) (any, error) { return nil, errNoPerson }
	s, err := serializer.New(failing)
	require.NoError(t, err)
	var got any
	err = s.Decode([]byte(`{"json":[{}],"meta":[[20,0]]}`), &got)
	require.ErrorIs(t, err, errNoPerson)
	var malformed *serializer.MalformedError
	require.ErrorAs(t, err, &malformed)
	require.EqualError(t, err, "serializer: decode: malformed message: custom type 20: not a person")
	require.EqualError(t, s.Decode([]byte(`{"json":[1,}`), &got), "serializer: decode: malformed message: unexpected '}' at offset 11")
	require.EqualError(t, s.Decode([]byte(`{"json":{},"meta":[[1,"x"]]}`), &got), `serializer: decode: malformed message: a path of meta leads to "x", which does not exist`)
}

var errNoPerson = fmt.Errorf("not a person")

// Custom types for all types that implement an interface, for a built-in number, and for
// undefined.
func TestCustomInterface(t *testing.T) {
	t.Parallel()
	type nothing struct{}
	s, err := serializer.New(
		value.Serializer{Type: 30, GoType: reflect.TypeFor[error](),
			Encode: func(v any) (any, error) { return v.(error).Error(), nil },
			Decode: func(v any) (any, error) { return fmt.Errorf("remote: %v", v), nil }},
		value.Serializer{Type: 1, GoType: reflect.TypeFor[time.Duration](),
			Encode: func(v any) (any, error) { return int64(v.(time.Duration)), nil },
			Decode: func(v any) (any, error) { return time.Duration(v.(float64)), nil }},
		value.Serializer{Type: 31, GoType: reflect.TypeFor[nothing](),
			Encode: func(any) (any, error) { return value.Undefined{}, nil },
			Decode: func(any) (any, error) { return nothing{}, nil }},
	)
	require.NoError(t, err)
	type message struct {
		Err, None error
		Wait      time.Duration
		Nothing   any
	}
	sent := message{Err: errNoPerson, Wait: time.Second, Nothing: nothing{}}
	wire, err := s.Append(nil, sent)
	require.NoError(t, err)
	require.Equal(t, `{"json":{"Err":"not a person","None":null,"Wait":1000000000,"Nothing":null},"meta":[[30,"Err"],[1,"Wait"],[3,"Nothing"],[31,"Nothing"]]}`, string(wire))
	var got message
	require.NoError(t, s.Decode(wire, &got))
	require.EqualError(t, got.Err, "remote: not a person")
	require.NoError(t, got.None)
	require.Equal(t, time.Second, got.Wait)
	require.Equal(t, nothing{}, got.Nothing)
}
