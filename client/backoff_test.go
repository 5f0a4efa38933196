package client

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// back returns how long after an outage a client with the given point is connected again.
func back(point float64, outage time.Duration) time.Duration {
	pause := spread(func() float64 { return point })
	var at time.Duration
	for attempt := 1; ; attempt++ {
		if at += pause(attempt); at >= outage {
			return at - outage
		}
	}
}

// Of clients whose points are spread evenly none is back later than documented, whatever
// the duration of the outage, and at no time do many more connect than on average.
func TestSpread(t *testing.T) {
	const clients, bins = 2000, 20
	for outage := time.Duration(0); outage < 5*time.Minute; outage += 300*time.Millisecond + outage/7 {
		window := min(max(outage/2, time.Second), 30*time.Second)
		var counts [bins]int
		for i := range clients {
			after := back((float64(i)+0.5)/clients, outage)
			require.Less(t, after, window, "after %v", outage)
			counts[int(after*bins/window)]++
		}
		for _, n := range counts {
			require.LessOrEqual(t, n*bins, clients*3/2+3*bins, "after %v: %d", outage, counts)
		}
	}
}

func TestSpreadPauses(t *testing.T) {
	points := []float64{0.5, 0, 0.999}
	n := 0
	pause := spread(func() float64 { n++; return points[n-1] })
	ms := time.Millisecond
	for _, want := range [][]time.Duration{
		{500 * ms, 1000 * ms, 1000 * ms, 1250 * ms, 1875 * ms},
		{0, 1000 * ms, 1000 * ms, 1000 * ms, 1500 * ms},
		{999 * ms, 1000 * ms},
	} {
		for i, w := range want {
			require.Equal(t, w, pause(i+1), "attempt %d", i+1)
		}
	}
	for attempt := 3; attempt < 1000; attempt++ {
		require.LessOrEqual(t, pause(attempt), longestWindow)
	}
	require.Equal(t, longestWindow, pause(1000))
}

func TestFullJitter(t *testing.T) {
	most := func(base, limit time.Duration, attempt int) time.Duration {
		pause := FullJitter(base, limit)
		var longest time.Duration
		for range 2000 {
			got := pause(attempt)
			require.GreaterOrEqual(t, got, time.Duration(0))
			longest = max(longest, got)
		}
		return longest
	}
	for name, c := range map[string]struct {
		base, limit time.Duration
		attempt     int
		below       time.Duration
	}{
		"the first":        {time.Second, 30 * time.Second, 1, time.Second},
		"the second":       {time.Second, 30 * time.Second, 2, 2 * time.Second},
		"the fifth":        {time.Second, 30 * time.Second, 5, 16 * time.Second},
		"the limit":        {time.Second, 30 * time.Second, 6, 30 * time.Second},
		"many":             {time.Second, 30 * time.Second, math.MaxInt, 30 * time.Second},
		"no overflow":      {time.Second, math.MaxInt64, math.MaxInt, math.MaxInt64},
		"limit below base": {time.Minute, time.Second, 1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			longest := most(c.base, c.limit, c.attempt)
			require.Less(t, longest, c.below)
			require.Greater(t, longest, c.below/2, "pauses are spread")
		})
	}
	require.Zero(t, FullJitter(0, time.Second)(1))
	require.Zero(t, FullJitter(-time.Second, -time.Second)(3))
}
