package encoded_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// In a program without a serializer, a zero Value is undefined and cannot be used
// otherwise.
func TestNoSerializer(t *testing.T) {
	t.Parallel()
	var v value.Value
	require.True(t, v.IsUndefined())
	require.ErrorContains(t, v.Decode(new(any)), "no serializer")
	dst, err := v.Append([]byte("before"))
	require.ErrorContains(t, err, "no serializer")
	require.Equal(t, "before", string(dst))
}
