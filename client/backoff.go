package client

import (
	"math/rand/v2"
	"time"
)

const (
	defaultBackoffBase = time.Second
	defaultBackoffCap  = 30 * time.Second

	// stableAfter is how long a connection has to last for the next loss to be the
	// first one again.
	stableAfter = 10 * time.Second

	// maxHint bounds how long a server can make its clients wait, by the retry of an
	// event or by Retry-After.
	maxHint = 5 * time.Minute
)

// FullJitter gives a pause for [Options.Backoff]: a random time below base for the
// first attempt, below twice that for the second, and so on, never more than limit.
// Clients that have lost the same server do not come back all at once.
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
		return rand.N(most) //nolint:gosec // nobody gains from guessing it
	}
}
