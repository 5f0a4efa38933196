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
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := serveNATS(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func short(t *testing.T, tailCheck bool) *report {
	t.Helper()
	c := config{length: 20 * time.Second, quiet: 100, tailCheck: tailCheck, seed: uint64(time.Now().UnixNano())}
	r, err := run(t.Context(), c)
	require.NoError(t, err)
	t.Logf("seed %d\n%v", c.seed, r)
	return r
}

func TestChaos(t *testing.T) {
	r := short(t, true)
	require.NoError(t, r.verdict())
	require.Greater(t, r.acknowledged, 5000)
	require.Positive(t, r.dropped)
}

// The run finds out if the log does not check its feeds.
func TestChaosWithoutTailChecks(t *testing.T) {
	r := short(t, false)
	require.Positive(t, r.lost)
	require.Error(t, r.verdict())
}
