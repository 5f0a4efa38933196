package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

func TestModuleIsOfToday(t *testing.T) {
	t.Parallel()
	var current bytes.Buffer
	require.NoError(t, typescript.Write(&current, module))
	written, err := os.ReadFile("../web/tickets.ts")
	require.NoError(t, err)
	require.Equal(t, current.String(), string(written), "go generate ./examples/contract/tickets")
}
