package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// The demonstration fails if a client misses anything.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, demo(t.Context(), &out), "%s", &out)
	require.Contains(t, out.String(), "Everybody saw everything")
}
