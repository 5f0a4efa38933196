package serializer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// Types with only plain JSON values must be treated as by encoding/json.
type (
	base struct {
		ID   int    `json:"id"`
		Kind string `json:"kind,omitempty"`
		Both string
	}
	Side struct {
		Both string
		Deep *Side `json:"deep,omitzero"`
		Only bool  `json:"only"`
	}
	hidden struct{ Shown int }
	level  int
	plain  struct {
		base
		*Side
		hidden  `json:"hidden"`
		Skip    string             `json:"-"`
		Dash    string             `json:"-,"`        //nolint:staticcheck // an odd tag on purpose
		Bad     int                `json:"bad\"name"` //nolint:staticcheck // as above
		Ints    []int8             `json:"ints,omitempty"`
		Arr     [2]uint16          `json:"arr"`
		Floats  map[string]float32 `json:"floats"`
		Text    *string            `json:"text,omitempty"`
		Raw     json.RawMessage    `json:"raw,omitempty"`
		Num     json.Number        `json:"num"`
		Bytes   []byte             `json:"bytes"`
		Any     any                `json:"any"`
		Addr    netip.Addr         `json:"addr"`
		ByAddr  map[netip.Addr]int `json:"byAddr"`
		Level   level              `json:"level"`
		Str     string             `json:"str,string"`
		Int     *int               `json:"int,string"`
		Bool    bool               `json:"bool,string,omitempty"`
		Zero    zeroable           `json:"zero,omitzero"`
		Two     [][]*base          `json:"two"`
		private int
	}
	zeroable struct{ N int }

	// conflicts has names that several embedded structs claim.
	First struct {
		X int
		Y int `json:"Y"`
	}
	Second struct {
		X int
		Y int
	}
	conflicts struct {
		First
		Second
		Empty uint8      `json:",omitempty,omitzero"`
		Iface error      `json:",omitempty"`
		Zero  *zeroable  `json:",omitzero"`
		Time  time.Month `json:"bad,name,omitempty"` //nolint:staticcheck // an odd tag on purpose
		Comma int        `json:",omitzero"`
	}
)

func (z zeroable) IsZero() bool { return z.N == 7 }

func (l level) MarshalJSON() ([]byte, error) { return json.Marshal(strings.Repeat("*", int(l)&7)) }

func (l *level) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New("no level")
	}
	*l = level(len(s))
	return nil
}

func standardText(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	// encoding/json escapes these two for JSONP; JavaScript does not.
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(b.String(), "\n"))
}

func TestEncodesLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	word, number := "w\u2028<\x00\x1f\x7f", -3
	tests := map[string]any{
		"zero":    plain{Num: "0"},
		"pointer": &plain{Num: "-1.50e+2"},
		"full": plain{
			base: base{ID: 1, Kind: "k", Both: "lost"}, Side: &Side{Both: "lost", Deep: &Side{Only: true}, Only: true},
			hidden: hidden{3}, Skip: "x", Dash: "d", Bad: 1, Ints: []int8{-128, 127}, Arr: [2]uint16{1, 65535},
			Floats: map[string]float32{"b": 1e-7, "a": 3.4e38, "": 1e21, "c": 0.1}, Text: &word,
			Raw: json.RawMessage(` {"a" : [1, 2]}`), Num: "12", Bytes: []byte("bytes"),
			Any:  map[string]any{"x": []any{1, 1.5, "t", nil, true, map[string]any{}}, "\b\f\n\r\t\"\\/": 1e20},
			Addr: netip.MustParseAddr("::1"), ByAddr: map[netip.Addr]int{netip.MustParseAddr("1.1.1.1"): 1},
			Level: 2, Str: "a\"b", Int: &number, Bool: true, Zero: zeroable{7}, Two: [][]*base{{nil, {ID: 2}}, nil, {}}, private: 1,
		},
		"rules":  conflicts{First: First{X: 1, Y: 2}, Second: Second{X: 4, Y: 5}},
		"floats": []float64{1, 0.1, 1e21, 1e-7, 123456789012345680000, math.MaxFloat64, math.SmallestNonzeroFloat64, 100, 1e-6, -1e21, 1.5e300},
	}
	for name, value := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire, err := new(serializer.Serializer).Append(nil, value)
			require.NoError(t, err)
			require.Equal(t, `{"json":`+standardText(t, value)+`}`, string(wire))

			want, got := reflect.New(reflect.TypeOf(value)), reflect.New(reflect.TypeOf(value))
			require.NoError(t, json.Unmarshal([]byte(standardText(t, value)), want.Interface()))
			require.NoError(t, new(serializer.Serializer).Decode(wire, got.Interface()))
			require.Equal(t, want.Interface(), got.Interface())
		})
	}
}

var compatTexts = []string{
	`{"id":1,"KIND":"a","Both":"x","deep":{"Both":"y"},"only":true,"hidden":{"shown":2},"-":"d"}`,
	`{"ints":[1,2,300],"arr":[1,2,3],"floats":{"a":1.5,"b":null},"text":null,"raw":[1],"num":1e5,"bytes":"aGk="}`,
	`{"any":{"a":[1,{"b":null}]},"addr":"1.2.3.4","byAddr":{"::1":5,"x":1},"level":"***","str":"\"q\"","int":"12","bool":"true"}`,
	`{"two":[[{"id":1},null],null,[]],"bad\"name":1,"Bad":2,"bytes":[1,2],"num":"3","zero":{"n":1}}`,
	`{"id":null,"ints":null,"any":null,"two":null,"str":null,"hidden":null,"level":null}`,
	`{"id":"x"}`, `{"id":1.0}`, `{"id":1e2}`, `{"floats":{"a":1e39}}`, `{"level":5}`, `{"str":"q"}`, `{"int":"x"}`, `{"int":" 0"}`, `{"int":"0 "}`, `{"str":" \"q\""}`, `{"bool":"\ttrue"}`,
	`{"addr":1}`, `{"bytes":"*"}`,
	`{"id":1,"id":2,"floats":{"a":1},"floats":{"b":2}}`, `"\ud83d\ude00\ud83d\u0041\u00e9"`, `[]`, `null`, `1e400`, `-0`, `[1,[2,[3]]]`, `{"a":{"b":[]}}`,
	`{`, `{"a"}`, `[1,]`, `01`, `"` + "\n" + `"`, "\"\xff\"", ` { "id" : 5 } `, `{"ſide":1,"K":1}`,
}

// requireCompatible decodes one text with both packages into a target of each kind.
func requireCompatible(t *testing.T, text []byte) {
	t.Helper()
	wire := []byte(`{"json":` + string(text) + `}`)
	if !json.Valid(text) && json.Valid(wire) {
		return // the text ends the envelope itself
	}
	for _, target := range []reflect.Type{
		reflect.TypeFor[plain](), reflect.TypeFor[any](), reflect.TypeFor[[]int](), reflect.TypeFor[map[string]*string](),
		reflect.TypeFor[map[int8]any](), reflect.TypeFor[string](), reflect.TypeFor[*float64](), reflect.TypeFor[[2]bool](), reflect.TypeFor[Side](),
	} {
		want, got := reflect.New(target), reflect.New(target)
		wantErr := json.Unmarshal(text, want.Interface())
		var outOfRange *json.UnmarshalTypeError
		if target.Kind() == reflect.Interface && errors.As(wantErr, &outOfRange) {
			continue // intended difference: in JavaScript 1e400 is infinite
		}
		err := new(serializer.Serializer).Decode(wire, got.Interface())
		if wantErr != nil {
			require.Error(t, err, "%s into %s: %v", text, target, wantErr)
			var syntax *json.SyntaxError
			var malformed *serializer.MalformedError
			require.Equal(t, errors.As(wantErr, &syntax), errors.As(err, &malformed), "%s into %s: %v, %v", text, target, wantErr, err)
			continue
		}
		if err != nil && strings.Contains(err.Error(), "JSON in a string") {
			continue // intended difference: encoding/json accepts numbers such as 00 there
		}
		require.NoError(t, err, "%s into %s", text, target)
		require.Equal(t, want.Interface(), got.Interface(), "%s into %s", text, target)
	}
}

func TestDecodesLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range compatTexts {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			requireCompatible(t, []byte(text))
		})
	}
}

func TestDecodeIntoWhatIsThere(t *testing.T) {
	t.Parallel()
	text := `{"id":5,"ints":[1],"floats":{"b":2},"text":"t","any":{"N":4},"two":[[{"id":9}]]}`
	fresh := func() *plain {
		word := "old"
		return &plain{base: base{ID: 1, Kind: "stays"}, Ints: []int8{7, 8, 9}, Floats: map[string]float32{"a": 1},
			Text: &word, Any: &zeroable{3}, Two: [][]*base{{{ID: 1, Kind: "stays"}}}}
	}
	want, got := fresh(), fresh()
	require.NoError(t, json.Unmarshal([]byte(text), want))
	require.NoError(t, new(serializer.Serializer).Decode([]byte(`{"json":`+text+`}`), got))
	require.Equal(t, want, got)
}

func TestDecodeUnexportedEmbedded(t *testing.T) {
	t.Parallel()
	var byPointer struct{ *base }
	require.ErrorContains(t, new(serializer.Serializer).Decode([]byte(`{"json":{"id":1}}`), &byPointer), "unexported")
	var byTag struct {
		*base `json:"b"`
	}
	require.ErrorContains(t, new(serializer.Serializer).Decode([]byte(`{"json":{"b":{}}}`), &byTag), "unexported")
}

func TestDecodeIntoPointerInInterface(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	filled := &base{Kind: "stays"}
	var target any = filled
	require.NoError(t, s.Decode([]byte(`{"json":{"id":1}}`), &target))
	require.Equal(t, &base{ID: 1, Kind: "stays"}, filled)

	// A pointer that decoding itself has set is not reused the next time.
	target = nil
	require.NoError(t, s.Decode([]byte(`{"json":"1","meta":[[0]]}`), &target))
	first := target
	require.NoError(t, s.Decode([]byte(`{"json":"2","meta":[[0]]}`), &target))
	require.Equal(t, big.NewInt(1), first)
	require.Equal(t, big.NewInt(2), target)
}
