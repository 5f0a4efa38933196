package serializer_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The intended differences from the original, by name of the vector, with the reason.
var (
	otherEncoding = map[string]string{
		"lone high surrogate":         "a Go text cannot hold it: it is U+FFFD before it gets here",
		"lone low surrogate":          "as above",
		"swapped surrogates":          "as above",
		"sparse array":                "Go arrays have no holes: its undefined elements are sent as undefined",
		"own __proto__ key":           "Go maps have no prototype: the key is an ordinary one and is sent",
		"toJSON function is skipped":  "a function is an error, as in encoding/json, not silently lost",
		"function value":              "as above",
		"symbol value":                "Go has no symbols",
		"instance with a date inside": "Go structs are plain objects: dates in them keep their type",
	}
	otherOrder = map[string]string{
		"integer-like keys": "Go maps are sent sorted as texts",
		"odd keys":          "as above",
		"everything":        "as above",
	}
	otherDecoding = map[string]any{
		// Patterns are never compiled here, so it is kept.
		"regexp with an invalid pattern": value.RegExp{Source: "("},
		// Go strings cannot contain a lone surrogate.
		"lone high surrogate":   "a\uFFFDb",
		"lone low surrogate":    "\uFFFD",
		"swapped surrogates":    "\uFFFD\uFFFD",
		"lone surrogate escape": "\uFFFD",
	}
)

func TestVectorsEncode(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	all := readVectors(t)
	for _, v := range append(all.Roundtrip, all.Custom...) {
		t.Run(v.Name, func(t *testing.T) {
			if otherEncoding[v.Name] != "" {
				requireOtherEncoding(t, s, v)
				return
			}
			wire, err := s.Append(nil, native(t, v.Value))
			require.NoError(t, err)
			if otherOrder[v.Name] == "" {
				require.Equal(t, v.Wire, string(wire))
				return
			}
			require.NotEqual(t, v.Wire, string(wire), "no difference any more")
			require.Equal(t, sorted(t, v.Wire), sorted(t, string(wire)))
		})
	}
}

// requireOtherEncoding checks that the encoding differs from the original's.
func requireOtherEncoding(t *testing.T, s *serializer.Serializer, v vector) {
	t.Helper()
	if strings.Contains(v.Name, "function") {
		_, err := s.Append(nil, map[string]any{"a": func() {}})
		require.ErrorContains(t, err, "func()")
		return
	}
	wire, err := s.Append(nil, native(t, v.Value))
	require.NoError(t, err)
	require.NotEqual(t, v.Wire, string(wire), "no difference any more")
}

// sorted returns a form that is equal for envelopes which differ only in the order of keys.
func sorted(t *testing.T, wire string) (envelope struct {
	JSON any
	Meta map[string]bool
}) {
	t.Helper()
	var raw struct {
		JSON any
		Meta []json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(wire), &raw))
	envelope.JSON, envelope.Meta = raw.JSON, map[string]bool{}
	for _, item := range raw.Meta {
		envelope.Meta[string(item)] = true
	}
	return envelope
}

func TestVectorsDecode(t *testing.T) {
	t.Parallel()
	s, err := serializer.New(personSerializer)
	require.NoError(t, err)
	all := readVectors(t)
	for _, v := range append(append(all.Roundtrip, all.Custom...), all.Decode...) {
		t.Run(v.Name, func(t *testing.T) {
			want, other := otherDecoding[v.Name]
			if !other {
				want = native(t, v.Decoded)
			}
			var got any
			require.NoError(t, s.Decode([]byte(v.Wire), &got))
			requireSame(t, want, got)

			// The result is the same for a Value, and for one that is sent on.
			val, err := s.Value([]byte(v.Wire))
			require.NoError(t, err)
			require.NoError(t, val.Decode(&got))
			requireSame(t, want, got)
			again, err := s.Append(nil, val)
			require.NoError(t, err)
			require.NoError(t, s.Decode(again, &got))
			requireSame(t, want, got)
		})
	}
}

func TestVectorsDecodeErrors(t *testing.T) {
	t.Parallel()
	s := new(serializer.Serializer)
	for _, v := range readVectors(t).DecodeErrors {
		t.Run(v.Name, func(t *testing.T) {
			wire := v.Wire
			if v.WireTemplate != "" {
				wire = strings.Replace(v.WireTemplate, "<4301 times the digit 9>", strings.Repeat("9", 4301), 1)
			}
			var got any
			var malformed *serializer.MalformedError
			require.ErrorAs(t, s.Decode([]byte(wire), &got), &malformed)
			require.Nil(t, got)

			// For a Value the error may be returned only when it is decoded.
			val, err := s.Value([]byte(wire))
			if err == nil {
				err = val.Decode(&got)
			}
			require.ErrorAs(t, err, &malformed)
			require.Nil(t, got)
		})
	}
}

func TestVectorsEncodeErrors(t *testing.T) {
	t.Parallel()
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	tests := map[string]func(*testing.T, *serializer.Serializer){
		"cyclic object": func(t *testing.T, s *serializer.Serializer) {
			_, err := s.Append(nil, cyclic)
			require.ErrorContains(t, err, "cycle")
		},
		// Intended difference: Go structs can be sent, unlike instances of other classes.
		"bigint inside a class instance": func(t *testing.T, s *serializer.Serializer) {
			wire, err := s.Append(nil, struct{ N *big.Int }{big.NewInt(1)})
			require.NoError(t, err)
			require.Equal(t, `{"json":{"N":"1"},"meta":[[0,"N"]]}`, string(wire))
		},
	}
	for _, v := range readVectors(t).EncodeErrors {
		t.Run(v.Name, func(t *testing.T) {
			require.Contains(t, tests, v.Name)
			tests[v.Name](t, new(serializer.Serializer))
		})
	}
}
