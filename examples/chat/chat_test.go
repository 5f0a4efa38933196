package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// The demo checks itself: it fails if anybody sees anything else than the script says.
func TestDemo(t *testing.T) {
	t.Parallel()
	url, stop, err := serve("127.0.0.1:0", token.Secret("a secret for the test"))
	require.NoError(t, err)
	defer stop()
	var out bytes.Buffer
	require.NoError(t, playDemo(t.Context(), url, &out), "%s", &out)
	require.Contains(t, out.String(), "bob   saw \"ann: three\"")
}
