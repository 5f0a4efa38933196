//go:build e2e

package typescript_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// newKinds returns a random value for a seed, with nil, zero, empty and other values.
func newKinds(seed uint64) Kinds {
	var kinds Kinds
	filler{rand.New(rand.NewPCG(seed, 1))}.fill(reflect.ValueOf(&kinds).Elem(), 0)
	return kinds
}

// filler fills values at random.
type filler struct{ *rand.Rand }

func (r filler) fill(v reflect.Value, depth int) {
	if chosen := r.special(v.Type()); chosen.IsValid() {
		v.Set(chosen)
		return
	}
	n := r.IntN(3)
	if depth > 5 {
		n = 0
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(n > 0)
	case reflect.Int:
		v.SetInt(r.Int64N(1000) - 500)
	case reflect.Int64:
		v.SetInt(r.Int64N(1 << 53))
	case reflect.Float64:
		v.SetFloat([]float64{0, 1.5, math.NaN()}[n])
	case reflect.String:
		v.SetString([]string{"", "text", `"ü\😀 `}[n])
	case reflect.Pointer:
		if n > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				r.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			r.fill(v.Index(i), depth+1)
		}
	case reflect.Slice:
		if r.IntN(3) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			r.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		if r.IntN(3) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				r.fill(key, depth+1)
				r.fill(elem, depth+1)
				v.SetMapIndex(key, elem)
			}
		}
	}
}

// special returns a value of a type whose possible values are not defined by its fields or
// kind.
func (r filler) special(t reflect.Type) reflect.Value {
	var choices []any
	switch t {
	case reflect.TypeFor[time.Time]():
		choices = []any{time.Time{}, time.UnixMilli(r.Int64N(4e12)).UTC()}
	case reflect.TypeFor[big.Int]():
		choices = []any{*big.NewInt(-7), *new(big.Int).Lsh(big.NewInt(r.Int64()), 100)}
	case reflect.TypeFor[url.URL]():
		choices = []any{url.URL{Scheme: "https", Host: "example.com", Path: "/a b", RawQuery: "c=d"}}
	case reflect.TypeFor[value.RegExp]():
		choices = []any{value.RegExp{}, value.RegExp{Source: `a\/b`, Flags: "gi"}}
	case reflect.TypeFor[netip.Addr]():
		choices = []any{netip.Addr{}, netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	case reflect.TypeFor[json.Number]():
		choices = []any{json.Number(""), json.Number("12.5")}
	case reflect.TypeFor[json.RawMessage]():
		choices = []any{json.RawMessage(nil), json.RawMessage(`{"a":[1,null]}`)}
	case reflect.TypeFor[value.Value]():
		choices = []any{value.Value{}, encoded(`{"json":{"at":"2024-01-02T03:04:05.678Z"},"meta":[[1,"at"]]}`)}
	case reflect.TypeFor[any]():
		choices = []any{"text", 1.5, math.NaN(), big.NewInt(5), value.Set{"a", nil}, value.Map{{Key: "a", Value: true}}, map[string]any{"a": 1.0}}
	case reflect.TypeFor[value.Set]():
		choices = []any{value.Set(nil), value.Set{}, value.Set{1.0, "a", time.UnixMilli(5).UTC(), value.Set{}}}
	case reflect.TypeFor[value.Map]():
		choices = []any{value.Map(nil), value.Map{}, value.Map{{Key: 1.0, Value: nil}, {Key: "a", Value: value.Map{}}}}
	case reflect.TypeFor[State]():
		choices = []any{StateOpen, StateClosed}
	case reflect.TypeFor[Level]():
		choices = []any{LevelLow, LevelMid, LevelHigh}
	default:
		return reflect.Value{}
	}
	return reflect.ValueOf(choices[r.IntN(len(choices))])
}

var kindsSerializer = func() *serializer.Serializer {
	s, err := serializer.New(money)
	if err != nil {
		panic(err)
	}
	return s
}()

func encoded(envelope string) value.Value {
	v, err := kindsSerializer.Value([]byte(envelope))
	if err != nil {
		panic(err)
	}
	return v
}

// difference returns the difference of two values on the wire, or "" if they are equal.
func difference(a, b Kinds) (string, error) {
	sent, err := kindsSerializer.Append(nil, a)
	if err != nil {
		return "", err
	}
	received, err := kindsSerializer.Append(nil, b)
	if err != nil || string(sent) == string(received) {
		return "", err
	}
	return fmt.Sprintf("sent     %s\nreceived %s", sent, received), nil
}
