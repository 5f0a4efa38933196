package rpc

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
		"tagged field":     {hasRules[ruled](), true},
		"pointer":          {hasRules[*ruled](), true},
		"list":             {hasRules[[][]ruled](), true},
		"array":            {hasRules[[2]ruled](), true},
		"map":              {hasRules[map[string]*ruled](), true},
		"key":              {hasRules[map[ruled]int](), true},
		"field of a field": {hasRules[struct{ A struct{ B []ruled } }](), true},
		"embedded":         {hasRules[embedded](), true},
		"recursive":        {hasRules[left](), true},
		"untagged":         {hasRules[unruled](), false},
		"unexported field": {hasRules[struct{ inner ruled }](), false},
		"any":              {hasRules[any](), false},
		"void":             {hasRules[Void](), false},
		"text":             {hasRules[string](), false},
		"time":             {hasRules[time.Time](), false},
		"big integer":      {hasRules[*big.Int](), false},
		"encoded value":    {hasRules[value.Value](), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, test.got) })
	}
}
