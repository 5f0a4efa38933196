package client

import (
	"math/rand/v2"
	"time"
)

const (
	// firstWindow and longestWindow are the shortest and the longest time in which a
	// client makes one attempt to connect, by default.
	firstWindow   = time.Second
	longestWindow = 30 * time.Second

	// stableAfter is how long a connection has to last for the attempts to count from
	// 1 again.
	stableAfter = 10 * time.Second

	// maxHint bounds how long a server can make its clients wait, by the retry of an
	// event or by Retry-After.
	maxHint = 5 * time.Minute
)

// spread returns a function of the default pauses. The time since a loss is divided into windows, each
// of which is half as long as all those before it together, within the bounds above. The
// client makes one attempt in each, at the same point of every window, which random
// chooses anew after each loss, between 0 and 1.
//
// So clients that have lost the same server are spread evenly over each window, and when
// it is back they are back within half of the time that it was away. With independent
// random pauses many would connect at the same time, and some very late.
func spread(random func() float64) func(attempt int) time.Duration {
	var point float64
	var start, length, last time.Duration // of the window, and the last attempt
	return func(attempt int) time.Duration {
		if attempt == 1 {
			point, start, length, last = random(), 0, 0, 0
		}
		start += length
		length = min(max(start/2, firstWindow), longestWindow)
		next := start + time.Duration(point*float64(length))
		pause := next - last
		last = next
		return pause
	}
}

// FullJitter returns a function for [Options.Backoff]. Its pauses are random times below
// base for the first attempt, below twice that for the second, and so on, never more than
// limit.
func FullJitter(base, limit time.Duration) func(attempt int) time.Duration {
	return func(attempt int) time.Duration {
		most := min(base, limit)
		for i := 1; i < attempt && most < limit; i++ {
			most = min(2*most, limit)
			if most <= 0 { // the product overflowed
				most = limit
			}
		}
		if most <= 0 {
			return 0
		}
		return rand.N(most) //nolint:gosec // it need not be hard to guess
	}
}
