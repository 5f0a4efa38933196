package main

import (
	"bytes"
	"os"
	"testing"
	"time"

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

// A short run of the command. It counts goroutines, so it is not parallel.
func TestChaos(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-events", "15000", "-clients", "36", "-drops", "120", "-restarts", "3", "-ticks", "30", "-timeout", "2m"}
	require.NoError(t, command(args, &out))
	t.Log(&out)
	require.Contains(t, out.String(), "2 servers shut down, 2 killed")
}

func TestHerd(t *testing.T) {
	var out bytes.Buffer
	h := &herd{size: 20, outage: 100 * time.Millisecond}
	// With so few clients the peak is not significant.
	if err := h.run(t.Context(), &out); err != nil {
		require.EqualError(t, err, "the peak is more than 2 times the mean")
	}
	t.Log(&out)
	require.Contains(t, out.String(), "20 clients, server down for 100ms: 20 connections accepted")
}

func TestHerdReport(t *testing.T) {
	back := time.Now()
	evenly := func(clients int, within time.Duration) (list []time.Time) {
		for i := range clients {
			list = append(list, back.Add(within*time.Duration(i)/time.Duration(clients)))
		}
		return list
	}
	cases := map[string]struct {
		arrivals []time.Time
		fetches  int64
		want     string
	}{
		"evenly":               {evenly(1000, 2500*time.Millisecond), 1000, ""},
		"too late":             {evenly(1000, 4*time.Second), 1000, "the last client connected after 3.996s, not within 3s"},
		"at once":              {append(evenly(990, 100*time.Millisecond), evenly(10, time.Second)...), 1000, "the peak is more than 2 times the mean"},
		"some twice":           {evenly(1001, 2500*time.Millisecond), 1000, "1001 connections for 1000 clients"},
		"unnecessary tokens":   {evenly(1000, 2500*time.Millisecond), 1001, "1001 tokens fetched for 1000 lifetimes"},
		"a connection is away": {evenly(999, 2500*time.Millisecond), 1000, "999 connections for 1000 clients"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := &herd{size: 1000, outage: 5 * time.Second, arrivals: c.arrivals}
			h.fetches.Store(c.fetches)
			err := h.report(new(bytes.Buffer), back)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"-clients", "11"}, {"-events", "0"}, {"-drops", "-1"}, {"-restarts", "-1"}, {"-ticks", "0"},
	} {
		require.EqualError(t, command(args, new(bytes.Buffer)), "there must be 12 clients or more, and 1 or more events, drops and ticks")
	}
}
