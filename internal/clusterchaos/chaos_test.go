//go:build e2e

package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(serveEnv); config != "" {
		if err := serveNATS(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func short(t *testing.T, length time.Duration, tailCheck bool) *report {
	t.Helper()
	c := config{
		length: length, pause: 8 * time.Millisecond, quiet: 100, tailCheck: tailCheck,
		scripts: "../interop/node", seed: uint64(time.Now().UnixNano()),
	}
	r, err := run(t.Context(), c)
	require.NoError(t, err)
	t.Logf("seed %d\n%v", c.seed, r)
	return r
}

func TestChaos(t *testing.T) {
	r := short(t, 12*time.Second, true)
	require.NoError(t, r.verdict())
	require.Greater(t, r.acknowledged, 2000)
	require.Positive(t, r.dropped)
	require.Positive(t, r.leaders)
	require.Greater(t, r.keyed, 100)
}

// The run fails if the log does not check its feeds.
func TestChaosWithoutTailChecks(t *testing.T) {
	r := short(t, 3*time.Second, false)
	require.Positive(t, r.lost)
	require.Error(t, r.verdict())
}
