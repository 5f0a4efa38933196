package validate

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

type (
	ruled struct {
		N int `validate:"min=1"`
	}
	unruled struct {
		N    int `validate:"-"`
		Next *unruled
	}
	embedded struct{ ruled }
	left     struct{ Right *right }
	right    struct {
		Left *left
		N    int `validate:"min=1"`
	}
)

func TestWhichTypesHaveRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ got, want bool }{
		"tagged field":     {HasRules[ruled](), true},
		"pointer":          {HasRules[*ruled](), true},
		"list":             {HasRules[[][]ruled](), true},
		"array":            {HasRules[[2]ruled](), true},
		"map":              {HasRules[map[string]*ruled](), true},
		"key":              {HasRules[map[ruled]int](), true},
		"field of a field": {HasRules[struct{ A struct{ B []ruled } }](), true},
		"embedded":         {HasRules[embedded](), true},
		"recursive":        {HasRules[left](), true},
		"untagged":         {HasRules[unruled](), false},
		"unexported field": {HasRules[struct{ inner ruled }](), false},
		"any":              {HasRules[any](), false},
		"void":             {HasRules[struct{}](), false},
		"text":             {HasRules[string](), false},
		"time":             {HasRules[time.Time](), false},
		"big integer":      {HasRules[*big.Int](), false},
		"encoded value":    {HasRules[value.Value](), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, test.got) })
	}
}
