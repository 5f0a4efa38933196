package goroutine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestName(t *testing.T) {
	t.Parallel()
	other := make(chan string)
	go func() { other <- Name() }()
	require.Regexp(t, "^goroutine [0-9]+$", Name())
	name := Name()
	require.Equal(t, name, Name())
	require.NotEqual(t, name, <-other)
}
