package main

import (
	"math"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// sample is a value with its name.
type sample struct {
	name  string
	value any
}

// samples returns values that are easily encoded wrongly. Those of JSON are first.
func samples() []sample {
	date := time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	address := &url.URL{Scheme: "https", User: url.User("user"), Host: "example.com:8443", Path: "/a/b", RawQuery: "c=d", Fragment: "e"}
	pattern := value.RegExp{Source: `^a\/b[^/]+$`, Flags: "giu"}
	return []sample{
		{"null", nil},
		{"empty object", map[string]any{}},
		{"empty array", []any{}},
		{"numbers", []any{0.0, -1.0, 0.1, 9007199254740991.0, math.MaxFloat64, math.SmallestNonzeroFloat64}},
		{"texts", []any{"", "Grüße, мир, κόσμος, 🙂, \U0010ffff", "\"quoted\" \\ </script> & \u2028 \u2029 \x00 \x1f \x7f"}},
		{"member names", map[string]any{"__meta__": 1.0, "a.b": 2.0, "": 3.0, "0": 4.0, "json": map[string]any{"meta": []any{}}}},
		{"1 MiB", strings.Repeat("é", 1<<19)},
		{"date", date},
		{"invalid date", value.InvalidDate{}},
		{"big integer", huge},
		{"NaN", math.NaN()},
		{"undefined in an array", []any{1.0, value.Undefined{}, []any{value.Undefined{}}}},
		{"URL", address},
		{"regular expression", pattern},
		{"set", value.Set{1.0, "two", big.NewInt(3), value.Set{date}}},
		{"map", value.Map{
			{Key: "a", Value: big.NewInt(1)}, {Key: map[string]any{"b": 2.0}, Value: value.Map{{Key: date, Value: math.NaN()}}},
		}},
		{"natives in natives", map[string]any{
			"list":   []any{date, map[string]any{"deep": []any{big.NewInt(5), value.Undefined{}, nil}}},
			"lookup": value.Map{{Key: 1.0, Value: value.Set{pattern, address}}},
		}},
	}
}

// typed is an object whose members are of types that JSON does not have.
type typed struct {
	At    time.Time           `json:"at"`
	Big   *big.Int            `json:"big"`
	URL   *url.URL            `json:"url"`
	Words map[string]struct{} `json:"words"`
	Names map[int]string      `json:"names"`
	None  *string             `json:"none"`
}
