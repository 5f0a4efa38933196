package typescript_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// The name of an iterator does not end the comment that it is in.
func TestNamesDoNotEndComments(t *testing.T) {
	t.Parallel()
	out := write(t, &typescript.Options{Iterators: []typescript.Iterator{{
		Name: "a */ export const evil = 1 /* ", Event: reflect.TypeFor[string](), Methods: []rpc.Contract{rpc.Define[rpc.Void, rpc.Void]("say*/")},
	}}})
	require.NotContains(t, out, "*/ export const evil")
}
