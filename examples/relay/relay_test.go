package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachChannelGetsItsOwn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, play(t.Context(), &out))
	require.Equal(t, `builds: {"commit":"a1b2c3","ok":true}
builds: {"commit":"d4e5f6","ok":false}
deploys: ["staging","production"]
`, out.String())
}

func TestOnlyJSONIsPassedOn(t *testing.T) {
	t.Parallel()
	server, stop, err := serve(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer stop()
	builds, err := listen(t.Context(), io.Discard, server, "builds")
	require.NoError(t, err)
	defer builds.Close()

	require.ErrorContains(t, post(t.Context(), server, "builds", "no JSON"), "400")
	require.ErrorContains(t, post(t.Context(), server, "builds", `"`+strings.Repeat("x", maxHook)+`"`), "400")
	require.NoError(t, post(t.Context(), server, "builds", `"the first that arrives"`))
	var out bytes.Buffer
	require.NoError(t, show(&out, "builds", builds, 1))
	require.Equal(t, "builds: \"the first that arrives\"\n", out.String())
}
