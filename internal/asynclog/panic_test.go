package asynclog_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

func TestPanicText(t *testing.T) {
	t.Parallel()
	list, table := make([]any, 1), map[string]any{}
	list[0], table["itself"] = list, table
	for want, v := range map[string]any{
		"<nil>":                   nil,
		"text":                    "text",
		"7":                       7,
		"an error":                errors.New("an error"),
		"[]interface {}":          list,
		"map[string]interface {}": table,
		"struct { X int }":        struct{ X int }{7},
	} {
		require.Equal(t, want, asynclog.PanicText(v))
	}
}
