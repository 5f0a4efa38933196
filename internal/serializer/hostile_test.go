package serializer_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// nested is for targets that are nested as deeply as the text.
type nested []nested

// Messages of about 200 kB are made to be costly. Anything that grows with the square of
// the size would take minutes or gigabytes here.
func TestHostile(t *testing.T) {
	const size = 200_000
	repeat := func(n int, element func(int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(element(i))
		}
		return b.String()
	}
	always := func(text string) func(int) string { return func(int) string { return text } }
	wrap := func(json, meta string) string { return `{"json":` + json + `,"meta":[` + meta + `]}` }
	deep := func(open, inner, end string) string {
		return strings.Repeat(open, 900) + inner + strings.Repeat(end, 900)
	}
	zeros := func(n int) string { return strings.Repeat(",0", n) }

	tests := map[string]string{
		"many dates":             wrap("["+repeat(size/40, always(`"2024-01-02"`))+"]", repeat(size/40, func(i int) string { return fmt.Sprintf("[1,%d]", i) })),
		"the same path again":    wrap(`"1"`, repeat(size/4, always("[0]"))),
		"equal keys":             wrap("{"+repeat(size/6, always(`"a":0`))+"}", ""),
		"equal keys with meta":   wrap("{"+repeat(size/20, always(`"a":["1"]`))+"}", repeat(size/20, func(i int) string { return `[0,"a",` + strconv.Itoa(i) + `]` })),
		"equal deep keys":        wrap(deep(`{"a":`, "{"+repeat(size/20, always(`"a":1`))+"}", "}"), repeat(size/4000, func(int) string { return "[0" + strings.Repeat(`,"a"`, 901) + "]" })),
		"nested maps":            wrap(nestedMaps(450, size), nestedMapMeta(450)),
		"nested sets":            wrap(deep("[", repeat(size/2, always("1")), "]"), setMeta(900)),
		"wide paths to no value": wrap("1", repeat(size/12, func(i int) string { return fmt.Sprintf("[0,%d,0]", i) })),
		"long paths to no value": wrap("1", repeat(size/2000, func(int) string { return "[0" + zeros(999) + "]" })),
		"unknown types":          wrap("1", repeat(size/8, func(i int) string { return fmt.Sprintf("[99,%d]", i) })),
		"deep wrong elements":    wrap(deep("[", repeat(size/2, always("1")), "]"), ""),
		"custom in custom":       wrap("{}", repeat(size/5, always("[20]"))),
		"set of equal numbers":   wrap("["+repeat(size/2, always("1"))+"]", "[6]"),
		"map of equal keys":      wrap("["+repeat(size/6, always("[1,2]"))+"]", "[7]"),
		"one long bigint":        wrap(`"`+strings.Repeat("9", size)+`"`, "[0]"),
		"one long number":        wrap(strings.Repeat("9", size), ""),
		"one long escape":        wrap(`"`+strings.Repeat(`\u0041`, size/6)+`"`, "[1]"),
		"many backslashes":       wrap("["+repeat(size/8, always(`"\\\""`))+"]", ""),
		"long key and issues":    wrap(`[{"`+strings.Repeat("k", size/2)+`":[`+repeat(size/4, always("1"))+`]}]`, ""),
	}
	wrapping := personSerializer
	wrapping.Decode = func(any) (any, error) { return person{}, nil }
	s, err := serializer.New(wrapping)
	require.NoError(t, err)
	for name, wire := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			for _, target := range []any{new(any), new(value.Value), new(nested), new([]map[string][]string), new(map[string]map[string]string)} {
				_ = s.Decode([]byte(wire), target) // most are refused: only the cost matters
			}
			elapsed := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("%d bytes: %v, %d MB", len(wire), elapsed, (after.TotalAlloc-before.TotalAlloc)>>20)
			require.Less(t, elapsed, 10*time.Second)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(wire))*250)
		})
	}
}

// Meta and maps take memory that is a small multiple of the message, whatever they are and
// whether they fit the JSON or not.
func TestMetaIsLinear(t *testing.T) {
	const size = 100_000
	list := func(element func(int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(element(i))
		}
		return b.String()
	}
	always := func(text string) func(int) string { return func(int) string { return text } }
	wrap := func(json, meta string) string { return `{"json":` + json + `,"meta":[` + meta + `]}` }
	steps := func(n int, step string) string { return strings.Repeat(","+step, n) }
	numbered := func(format string) func(int) string { return func(i int) string { return fmt.Sprintf(format, i) } }
	tests := map[string]string{
		"short paths to no value":  wrap("null", list(numbered("[2,%d,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"))),
		"deep shared prefixes":     wrap("null", list(numbered("[2"+steps(990, "0")+",%d]"))),
		"deep shared keys":         wrap("null", list(numbered(`[2`+steps(990, `"key"`)+`,"%d"]`))),
		"deep different first":     wrap("null", list(numbered("[2,%d"+steps(900, "0")+"]"))),
		"one very long path":       wrap("null", "[2"+strings.Repeat(",0", size/2)+"]"),
		"the root again and again": wrap(`"1"`, list(always("[0]"))),
		"custom at the root":       wrap(`{}`, list(always("[20]"))),
		"the same path again":      wrap(`["1"]`, list(always("[0,0]"))),
		"wide indexes":             wrap("[]", list(numbered("[0,%d]"))),
		"huge indexes":             wrap("[]", list(numbered("[0,%d99999999]"))),
		"wide keys":                wrap("{}", list(numbered(`[0,"%d"]`))),
		"keys of keys":             wrap("{}", list(func(i int) string { return fmt.Sprintf(`[0,"%d","%d"]`, i%300, i/300) })),
		"escaped keys":             wrap("{}", list(numbered(`[0,"\u0061\n%d"]`))),
		"long keys":                wrap("{}", list(numbered(`[0,"`+strings.Repeat("k", 10_000)+`%d"]`))),
		"long numbers":             wrap("[]", list(always("[0,"+strings.Repeat("9", 5000)+"]"))),
		"long types":               wrap("[]", list(always("["+strings.Repeat("9", 5000)+",0]"))),
		"short large numbers":      wrap("[]", list(always("[0,1e20]"))),
		"fractions":                wrap("[]", list(always("[0,1.5,-2.5,1e21]"))),
		"unknown types":            wrap("1", list(numbered("[99,%d]"))),
		"empty items":              wrap("1", list(always("[]"))),
		"nulls that fit":           wrap("["+list(always("null"))+"]", list(numbered("[3,%d]"))[:size-20]+"[]"),
		"members that fit":         wrap("{"+list(numbered(`"%d":null`))+"}", strings.TrimSuffix(list(func(i int) string { return fmt.Sprintf(`[3,"%d"]`, i%(size/16)) }), ",")),
		"equal members":            wrap("{"+list(always(`"a":["1"]`))+"}", list(always(`[0,"a",0]`))),
		"urls":                     wrap("["+list(always(`"a:%"`))+"]", list(numbered("[4,%d]"))),
	}
	wrapping := personSerializer
	wrapping.Decode = func(any) (any, error) { return person{}, nil }
	s, err := serializer.New(wrapping)
	require.NoError(t, err)
	below := strings.NewReplacer(`{"json":`, `{"json":{"x":1,"input":`, `,"meta":`, `},"meta":`)
	for name, wire := range tests {
		t.Run(name, func(t *testing.T) {
			whole, member, spaced := []byte(wire), []byte(below.Replace(wire)), []byte(strings.Replace(wire, `"meta":[`, `"meta":[ `, 1))
			for target, decode := range map[string]func() error{
				"struct": func() error { return s.Decode(whole, new(struct{})) },
				"value":  func() error { return s.Decode(whole, new(value.Value)) },
				"member": func() error { return s.Decode(member, new(call)) },
				"spaced": func() error { return s.Decode(spaced, new(int)) },
			} {
				_ = decode() // makes the plans
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				_ = decode() // most are refused: only the cost matters
				elapsed := time.Since(start)
				runtime.ReadMemStats(&after)
				cost := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(wire))
				t.Logf("%s: %d bytes: %v, %.2f times its size", target, len(wire), elapsed, cost)
				most := 4.0
				switch info, ok := debug.ReadBuildInfo(); {
				case ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}):
					most = 16 // short strings are on the heap then
				case target == "spaced":
					most = 5 // one is a copy without white space
				}
				require.LessOrEqual(t, cost, most, target)
			}
		})
	}
}

// nestedMaps returns [[0,[[0,... around a long string.
func nestedMaps(levels, size int) string {
	return strings.Repeat("[[0,", levels) + `"` + strings.Repeat("x", size) + `"` + strings.Repeat("]]", levels)
}

func nestedMapMeta(levels int) string {
	var items []string
	for i := levels - 1; i >= 0; i-- {
		items = append(items, "[7"+strings.Repeat(",0,1", i)+"]")
	}
	return strings.Join(items, ",")
}

func setMeta(levels int) string {
	var items []string
	for i := levels - 1; i >= 0; i-- {
		items = append(items, "[6"+strings.Repeat(",0", i)+"]")
	}
	return strings.Join(items, ",")
}

// A short message cannot cause a long list of issues.
func TestIssuesAreBounded(t *testing.T) {
	t.Parallel()
	var typeError *serializer.TypeError
	wire := `{"json":[` + strings.Repeat("1,", 100_000) + `1]}`
	require.ErrorAs(t, new(serializer.Serializer).Decode([]byte(wire), new([]string)), &typeError)
	require.Greater(t, len(typeError.Issues), 100)
	require.Less(t, len(typeError.Issues), 1000)
	require.ErrorContains(t, typeError, "[0]: expected string, received number; [1]:")

	wire = `{"json":{"` + strings.Repeat("k", 100_000) + `":[1,1]}}`
	require.ErrorAs(t, new(serializer.Serializer).Decode([]byte(wire), new(map[string][]string)), &typeError)
	require.Len(t, typeError.Issues, 1)
}

// A target that contains itself is an error, and does not end the process.
func TestTargetHoldsItself(t *testing.T) {
	t.Parallel()
	type endless *endless
	var inside any
	inside = &inside
	type list []list
	for name, target := range map[string]any{"pointer": new(endless), "interface": inside} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wire := range []string{`{"json":1}`, `{"json":[1]}`, `{"json":["1"],"meta":[[0,0]]}`} {
				require.ErrorContains(t, new(serializer.Serializer).Decode([]byte(wire), target), "the target holds itself")
			}
		})
	}
	wire := `{"json":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`
	require.NoError(t, new(serializer.Serializer).Decode([]byte(wire), new(list)))
}

// A value that contains itself is an error, whatever its types are.
func TestEncodeHoldsItself(t *testing.T) {
	t.Parallel()
	type endless *endless
	var pointer endless
	pointer = &pointer
	type list []list
	elements := list{nil}
	elements[0] = elements
	var inside any
	inside = &inside
	set, entries, byKey := value.Set{nil}, value.Map{{}}, map[int]any{}
	set[0], entries[0].Value, byKey[1] = set, entries, byKey
	self, err := serializer.New(value.Serializer{
		Type: 20, GoType: reflect.TypeFor[person](), Encode: func(v any) (any, error) { return v, nil }, Decode: func(v any) (any, error) { return v, nil },
	})
	require.NoError(t, err)
	wrapping, err := serializer.New(value.Serializer{
		Type: 20, GoType: reflect.TypeFor[person](), Encode: func(v any) (any, error) { return []any{&v}, nil }, Decode: func(v any) (any, error) { return v, nil },
	})
	require.NoError(t, err)
	plain := new(serializer.Serializer)
	for name, test := range map[string]struct {
		s *serializer.Serializer
		v any
	}{
		"pointer": {plain, pointer}, "list": {plain, elements}, "interface": {plain, inside}, "set": {plain, set},
		"map": {plain, entries}, "map by number": {plain, byKey}, "custom returns itself": {self, person{}},
		"custom wraps itself": {wrapping, person{}}, "deep text": {plain, json.RawMessage(strings.Repeat("[", 1001) + strings.Repeat("]", 1001))},
		"deep text inside": {plain, []any{json.RawMessage(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst, err := test.s.Append([]byte("before"), test.v)
			require.ErrorContains(t, err, "nested deeper than 1000")
			require.Equal(t, "before", string(dst))
			_, err = test.s.Encode(test.v)
			require.ErrorContains(t, err, "nested deeper than 1000")
		})
	}
}
