package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary the server, as main does.
func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A short run of the command.
func TestCrash(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, command([]string{"-kills", "8", "-timeout", "2m"}, &out))
	t.Log(&out)
	require.Contains(t, out.String(), "8 kills,")
	require.NotContains(t, out.String(), " 0 times again")
}

// A server that forgets keys stores events twice, which the command detects.
func TestKeysForgotten(t *testing.T) {
	t.Parallel()
	v, err := plan{kills: 2, publishers: 1, keyed: 2, clients: 1, seed: 1, forgetful: true}.run(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Positive(t, v.disorder, "%v", v)
	require.Positive(t, v.misnamed)
	require.Error(t, v.err())
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	require.EqualError(t, command([]string{"-keyed", "-1"}, new(bytes.Buffer)), "keyed must be 0 or more")
	for _, args := range [][]string{{"-kills", "0"}, {"-clients", "0"}, {"-publishers", "-1"}} {
		require.EqualError(t, command(args, new(bytes.Buffer)), "kills, publishers and clients must be 1 or more")
	}
}

// Without its log the server loses all events, which the command detects.
func TestLogLost(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	s := &siege{plan: plan{kills: 1, publishers: 2, clients: 2}, dir: dir, addr: "127.0.0.1:0", random: newRandom(1)}
	defer s.close()
	require.NoError(t, s.killOne(ctx, 1))
	require.NotEmpty(t, s.acked)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, s.end(ctx, 2))
	stored, err := readLog(ctx, dir)
	require.NoError(t, err)
	v := s.judge(stored)
	require.Equal(t, v.acked-1, v.lost, "%v", v) // the last one is acknowledged by the second server
	require.Positive(t, v.phantoms)
	require.Equal(t, 2, v.gaps)
	require.ErrorContains(t, v.err(), "was acknowledged and is not in the log")
}

// It is a fault if the server ends before it is killed.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		addr string
		end  func(*process) error
		want string
	}{
		"at once":   {"nowhere at all", func(*process) error { return nil }, "ended by itself: exit status 1"},
		"afterward": {"127.0.0.1:0", func(p *process) error { return p.CloseInput() }, "ended by itself: exit status 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := startProcess(context.WithoutCancel(t.Context()), t.TempDir(), tt.addr, work{run: 1, publishers: 1})
			require.NoError(t, err)
			require.NoError(t, tt.end(p))
			<-p.Ended()
			require.ErrorContains(t, p.Kill(), tt.want)
		})
	}
}
