package serializer_test

import (
	"math"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// specials returns one value of each kind that the format knows, as decoded into any.
func specials() map[string]any {
	at := time.Date(2024, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	return map[string]any{
		"text": "text", "number": 1.5, "true": true, "null": nil, "array": []any{1.0}, "object": map[string]any{"a": "b"},
		"bigint": big.NewInt(-5), "date": at, "invalid date": value.InvalidDate{}, "nan": math.NaN(),
		"url": mustURL("https://a.b/c?d#e"), "regexp": value.RegExp{Source: `a\/b`, Flags: "gi"},
		"set":    value.Set{1.0, at, value.Set{big.NewInt(1)}, value.Undefined{}},
		"map":    value.Map{{Key: at, Value: math.NaN()}, {Key: value.Map{{Key: "k", Value: nil}}, Value: value.Undefined{}}},
		"custom": person{Name: "Ann", Born: at},
	}
}

// Values of every type are unchanged after encoding and decoding: alone, in an object, in
// an array, deeply nested, and as a Value that is decoded later. The custom type covers
// SE-004.
func TestSE001Roundtrip(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	for name, special := range specials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sent := range []any{
				special,
				map[string]any{"member": special, "other": special},
				[]any{special, "between", special},
				map[string]any{"a": []any{map[string]any{"b": []any{special}}, value.Set{value.Map{{Key: special, Value: []any{special}}}}}},
				person{Name: "Bob", Born: []any{special, person{Name: "Eve", Born: special}}},
			} {
				wire, err := s.Append(nil, sent)
				require.NoError(t, err)
				var got any
				require.NoError(t, s.Decode(wire, &got))
				requireSame(t, sent, got)

				val, err := s.Value(wire)
				require.NoError(t, err)
				wrapped, err := s.Append(nil, []any{val})
				require.NoError(t, err)
				require.NoError(t, s.Decode(wrapped, &got))
				requireSame(t, []any{sent}, got)
			}
		})
	}
}

// In arrays undefined is sent as null with meta, and decoded as undefined.
func TestSE002Undefined(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	sent := []any{value.Undefined{}, map[string]any{"a": []any{nil, value.Undefined{}}}}
	wire, err := s.Append(nil, sent)
	require.NoError(t, err)
	require.Equal(t, `{"json":[null,{"a":[null,null]}],"meta":[[3,0],[3,1,"a",1]]}`, string(wire))
	var got any
	require.NoError(t, s.Decode(wire, &got))
	requireSame(t, sent, got)
}

// Several goroutines use a recursive type for the first time at the same time.
func TestConcurrentFirstUse(t *testing.T) {
	t.Parallel()
	type tree struct {
		Left, Right *tree
		ByName      map[string][]tree
		At          time.Time
	}
	s := new(serializer.Serializer)
	sent := tree{Left: &tree{}, ByName: map[string][]tree{"a": {{Right: &tree{}}}}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			wire, err := s.Append(nil, sent)
			if err == nil {
				var got tree
				err = s.Decode(wire, &got)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
