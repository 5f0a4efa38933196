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

	// stableAfter is how long a connection must last for attempts to be counted from 1
	// again.
	stableAfter = 10 * time.Second

	// maxHint limits how long a server can make its clients wait, by the retry of an
	// event or by Retry-After.
	maxHint = 5 * time.Minute
)

// spread returns the default of [Options.Backoff]. The time since a loss is divided into
// windows. Each is half as long as all windows before it together, but not shorter than
// firstWindow or longer than longestWindow. The client makes one attempt in each window,
// always at the same point of it, which random chooses after each loss, between 0 and 1.
//
// Clients that have lost the same server are thus spread evenly over each window, and
// reconnect within half of the time for which the server was down. With independent random
// pauses, many would connect at the same time and some very late.
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

// FullJitter returns a function for [Options.Backoff] whose pauses are random: less than
// base before the first attempt, less than twice base before the second, and so on, with
// limit as the maximum.
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
		return rand.N(most) //nolint:gosec // it does not have to be hard to guess
	}
}
