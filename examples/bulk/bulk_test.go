package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBulk(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, "[ATTIC CELLAR GARDEN]\n3 readings, mean 24\nattic: 10.0\nattic: 16.0\nattic: 23.0\n", out.String())
}
