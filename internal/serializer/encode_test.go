package serializer_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type (
	broken   struct{}
	loud     string
	shout    struct{ Word string }
	exported struct {
		Inner any `json:"inner"`
	}
)

func (broken) MarshalJSON() ([]byte, error) { return []byte(`{"a":`), nil }
func (l loud) MarshalText() ([]byte, error) { return []byte(string(l) + "!"), nil }
func (s *shout) MarshalJSON() ([]byte, error) {
	return []byte("{ \"word\" : \"" + s.Word + " \xff<\" }"), nil
}

// failing and hiddenText have methods that cannot be used.
type (
	failing    struct{}
	hiddenText struct{}
)

func (failing) MarshalText() ([]byte, error)    { return nil, errors.New("no text") }
func (hiddenText) MarshalText() ([]byte, error) { return nil, nil }

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func TestEncode(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(0, 999_999).In(time.FixedZone("x", 3600))
	one := big.NewInt(1)
	tests := map[string]struct {
		val  any
		want string
	}{
		"struct order": {struct {
			Re  value.RegExp `json:"re"`
			Arr []any        `json:"arr"`
			Big *big.Int     `json:"big"`
		}{value.RegExp{Source: "x"}, []any{[]*big.Int{one}, map[string]time.Time{"d": epoch}}, one},
			`{"json":{"re":"/x/","arr":[["1"],{"d":"1970-01-01T00:00:00.000Z"}],"big":"1"},` +
				`"meta":[[5,"re"],[0,"arr",0,0],[1,"arr",1,"d"],[0,"big"]]}`},
		"big value":           {struct{ N big.Int }{*one}, `{"json":{"N":"1"},"meta":[[0,"N"]]}`},
		"url value":           {*mustURL("HTTPS://Example.COM:443"), `{"json":"https://example.com/","meta":[[4]]}`},
		"url of no special":   {mustURL("Foo:Bar"), `{"json":"foo:Bar","meta":[[4]]}`},
		"nil special":         {[]any{(*big.Int)(nil), (*url.URL)(nil), (*time.Time)(nil), value.Set(nil), value.Map(nil), map[int]int(nil), map[int]struct{}(nil)}, `{"json":[null,null,null,null,null,null,null]}`},
		"float32":             {[]float32{0.1, float32(math.NaN()), float32(math.Copysign(0, -1)), 1e21}, `{"json":[0.1,null,0,1e+21],"meta":[[2,1]]}`},
		"undefined field":     {struct{ A, B any }{value.Undefined{}, 1}, `{"json":{"B":1}}`},
		"undefined fields":    {struct{ A, B, C any }{1, value.Undefined{}, &value.Undefined{}}, `{"json":{"A":1}}`},
		"undefined in map":    {map[string]any{"a": value.Undefined{}, "b": 1, "c": value.Value{}}, `{"json":{"b":1}}`},
		"undefined in go map": {map[int]any{1: value.Undefined{}}, `{"json":[[1,null]],"meta":[[3,0,1],[7]]}`},
		"undefined pointer":   {&value.Undefined{}, `{}`},
		"present undefined":   {struct{ A any }{serializer.PresentUndefined{}}, `{"json":{"A":null},"meta":[[3,"A"]]}`},
		"present at root":     {serializer.PresentUndefined{}, `{}`},
		"zero value":          {value.Value{}, `{}`},
		"zero value in array": {[]value.Value{{}}, `{"json":[null],"meta":[[3,0]]}`},
		"int keys":            {map[int]string{10: "b", 9: "a"}, `{"json":[[9,"a"],[10,"b"]],"meta":[[7]]}`},
		"date keys":           {map[time.Time]bool{epoch.UTC(): true}, `{"json":[["1970-01-01T00:00:00.000Z",true]],"meta":[[1,0,0],[7]]}`},
		"big keys":            {map[*big.Int]bool{one: true}, `{"json":[["1",true]],"meta":[[0,0,0],[7]]}`},
		"nan keys":            {map[float64]int{math.NaN(): 1}, `{"json":[[null,1]],"meta":[[2,0,0],[7]]}`},
		"bool set":            {map[bool]struct{}{true: {}}, `{"json":[true],"meta":[[6]]}`},
		"text set":            {map[string]struct{}{"b": {}, "a": {}}, `{"json":["a","b"],"meta":[[6]]}`},
		"text keys":           {map[loud]int{"a": 1}, `{"json":{"a":1}}`},
		"marshaled keys":      {map[netIP]int{{1}: 1}, `{"json":{"ip 1":1}}`},
		"text value":          {[]any{loud("a"), net.IPv4(1, 2, 3, 4)}, `{"json":["a!","1.2.3.4"]}`},
		"marshaler":           {[]*shout{{"a"}, nil}, `{"json":[{"word":"a ` + "\uFFFD" + `<"},null]}`},
		"without address":     {[]any{shout{"a"}}, `{"json":[{"Word":"a"}]}`},
		"raw message":         {json.RawMessage(" [1,\t2 ] "), `{"json":[1,2]}`},
		"json number":         {[]json.Number{"1e5", ""}, `{"json":[1e5,0]}`},
		"bytes":               {[]any{[]byte("hi?"), []byte(nil)}, `{"json":["aGk/",null]}`},
		"no utf-8":            {"a\xffb\xed\xa0\x80", `{"json":"a` + "\uFFFDb\uFFFD\uFFFD\uFFFD" + `"}`},
		"quoted": {struct {
			N int     `json:",string"`
			S string  `json:",string"`
			F float64 `json:",string"`
			P *bool   `json:",string"`
		}{1, "a\"", math.NaN(), nil}, `{"json":{"N":"1","S":"\"a\\\"\"","F":null,"P":null},"meta":[[2,"F"]]}`},
		"regexp escapes":  {value.RegExp{Source: "a/b\n[/]\\/", Flags: "ig"}, `{"json":"/a\\/b\\n[/]\\//gi","meta":[[5]]}`},
		"regexp empty":    {value.RegExp{}, `{"json":"/(?:)/","meta":[[5]]}`},
		"key with quotes": {map[string]any{"a\"\u2028<": one}, `{"json":{"a\"` + "\u2028" + `<":"1"},"meta":[[0,"a\"` + "\u2028" + `<"]]}`},
		"line breaks":     {value.RegExp{Source: "\r\u2028\\\u2029"}, `{"json":"/\\r\\u2028\\u2029/","meta":[[5]]}`},
		"uint keys":       {map[uint8]bool{200: true, 3: true}, `{"json":[[3,true],[200,true]],"meta":[[7]]}`},
		"float set":       {map[float64]struct{}{2.5: {}, -1: {}}, `{"json":[-1,2.5],"meta":[[6]]}`},
		"year 10000":      {time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), `{"json":"+010000-01-01T00:00:00.000Z","meta":[[1]]}`},
		"year 0":          {time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), `{"json":"0000-01-01T00:00:00.000Z","meta":[[1]]}`},
		"zero time":       {time.Time{}, `{"json":"0001-01-01T00:00:00.000Z","meta":[[1]]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire, err := new(serializer.Serializer).Append([]byte("before "), test.val)
			require.NoError(t, err)
			require.Equal(t, "before "+test.want, string(wire))
		})
	}
}

// netIP is a key with a MarshalText method.
type netIP [1]byte

func (ip netIP) MarshalText() ([]byte, error) { return []byte{'i', 'p', ' ', '0' + ip[0]}, nil }

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	type pointer *pointer
	var self pointer
	self = &self
	var loop any
	loop = &loop
	list := []any{nil}
	list[0] = list
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	deep := any(1)
	for range 1001 {
		deep = []any{deep}
	}
	half := any(1)
	for range 600 {
		half = []any{half}
	}
	halfWire, err := new(serializer.Serializer).Append(nil, half)
	require.NoError(t, err)
	val, err := new(serializer.Serializer).Value(halfWire)
	require.NoError(t, err)
	spliced := any(val)
	for range 401 {
		spliced = []any{spliced}
	}
	tests := map[string]struct {
		val  any
		want string
	}{
		"channel":           {map[string]any{"a": []any{make(chan int)}}, "serializer: encode: a[0]: values of type chan int cannot be encoded"},
		"func":              {func() {}, "func()"},
		"complex":           {1i, "complex128"},
		"pointer cycle":     {self, "cycle"},
		"interface cycle":   {loop, "cycle"},
		"slice cycle":       {list, "cycle"},
		"struct cycle":      {ring, "cycle"},
		"set cycle":         {value.Set{value.Map{{Key: 1, Value: ring}}}, "cycle"},
		"too deep":          {deep, "nested deeper than 1000"},
		"too deep by value": {spliced, "nested deeper than 1000"},
		"broken marshaler":  {broken{}, "bad JSON: jsontext: unexpected end"},
		"relative url":      {struct{ U url.URL }{}, "U: URL \"\": not an absolute URL"},
		"regexp flags":      {value.RegExp{Source: "a", Flags: "gg"}, "flags"},
		"date out of range": {time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC), "out of the range"},
		"long bigint":       {new(big.Int).Exp(big.NewInt(10), big.NewInt(4300), nil), "4300 digits"},
		"json number":       {json.Number("1x"), "not a JSON number"},
		"failing text":      {failing{}, "no text"},
		"failing key":       {map[failing]int{{}: 1}, "no text"},
		"failing in set":    {map[failing]struct{}{{}: {}}, "[0]: "},
		"failing in map":    {value.Map{{Key: failing{}}}, "[0][0]: "},
		"unexported method": {struct {
			hiddenText `json:"a"` // two embedded methods of one name, so that the outer type has none
			failing    `json:"b"`
		}{}, "unexported field"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := new(serializer.Serializer)
			dst, err := s.Append([]byte("kept"), test.val)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, "kept", string(dst))
			dst, err = s.Append(nil, exported{1}) // a failure has no effect on the next message
			require.NoError(t, err)
			require.Equal(t, `{"json":{"inner":1}}`, string(dst))
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	same := func(v any) (any, error) { return v, nil }
	valid := value.Serializer{Type: 20, GoType: personSerializer.GoType, Encode: same, Decode: same}
	negative, lacking := valid, valid
	negative.Type, lacking.Decode = -1, nil
	for name, customs := range map[string][]value.Serializer{
		"the same type twice": {valid, {Type: 21, GoType: valid.GoType, Encode: same, Decode: same}, valid},
		"negative type":       {negative},
		"no function":         {lacking},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serializer.New(customs...)
			require.Error(t, err)
		})
	}
}

func TestCustomEncodeError(t *testing.T) {
	t.Parallel()
	cause := errors.New("no")
	failing := personSerializer
	failing.Encode = func(any) (any, error) { return nil, cause }
	s, err := serializer.New(failing)
	require.NoError(t, err)
	_, err = s.Append(nil, []any{person{}})
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "[0]: custom type 20")

	endless := personSerializer
	endless.Encode = func(v any) (any, error) { return v, nil }
	s, err = serializer.New(endless)
	require.NoError(t, err)
	_, err = s.Append(nil, person{})
	require.ErrorContains(t, err, "cycle")
}
