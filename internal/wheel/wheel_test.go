package wheel_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/wheel"
)

// guest is a visitor that records its visits. A test sets when it asks to be visited again.
type guest struct {
	wheel.Entry
	again func(now time.Time) time.Time // nil: never

	mu     sync.Mutex
	visits []time.Time
}

func (g *guest) Visit(now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.visits = append(g.visits, now)
	if g.again == nil {
		return time.Time{}
	}
	return g.again(now)
}

// seen returns the times of the visits, after all goroutines are blocked.
func (g *guest) seen() []time.Time {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.visits
}

// turning runs a test with a wheel, in a bubble.
func turning(t *testing.T, test func(t *testing.T, w *wheel.Wheel)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		defer w.Close()
		test(t, w)
	})
}

// punctual requires that a visit ran within a second after its deadline.
func punctual(t *testing.T, asked, visited time.Time) {
	t.Helper()
	require.False(t, visited.Before(asked), "%v early", asked.Sub(visited))
	require.Less(t, visited.Sub(asked), time.Second)
}

func TestVisitsAreNeverEarlyAndLessThanASecondLate(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		rnd := rand.New(rand.NewPCG(1, 2))
		asked := map[*guest]time.Time{}
		for range 500 {
			g := &guest{}
			asked[g] = time.Now().Add(time.Duration(rnd.Int64N(int64(10 * time.Minute))))
			w.Add(&g.Entry, g, asked[g])
			time.Sleep(time.Duration(rnd.Int64N(int64(100 * time.Millisecond))))
		}
		time.Sleep(11 * time.Minute)
		for g, at := range asked {
			require.Len(t, g.seen(), 1)
			punctual(t, at, g.seen()[0])
		}
	})
}

func TestWhatIsPastIsVisitedSoon(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		time.Sleep(time.Hour) // with nothing to do
		g := &guest{}
		asked := time.Now()
		w.Add(&g.Entry, g, time.Time{}.Add(time.Hour))
		time.Sleep(time.Second)
		require.Len(t, g.seen(), 1)
		punctual(t, asked, g.seen()[0])
	})
}

// Tokens expire at full seconds, and a tick follows a millisecond later.
func TestTicksAreWhereTokensEnd(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		time.Sleep(123456789)
		g := &guest{}
		end := time.Now().Truncate(time.Second).Add(time.Hour + time.Millisecond)
		w.Add(&g.Entry, g, end)
		time.Sleep(2 * time.Hour)
		require.Len(t, g.seen(), 1)
		require.True(t, end.Equal(g.seen()[0]), g.seen())
	})
}

func TestVisitsGoOn(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		const every = 90 * time.Second // more than a turn of the wheel
		g := &guest{again: func(now time.Time) time.Time { return now.Add(every) }}
		w.Add(&g.Entry, g, time.Now().Add(every))
		time.Sleep(time.Hour + time.Second)
		visits := g.seen()
		require.Len(t, visits, 40)
		for i := 1; i < len(visits); i++ {
			punctual(t, visits[i-1].Add(every), visits[i])
		}
	})
}

func TestFarAway(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		for _, at := range []time.Time{
			time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
			time.Unix(1<<50, 0),
		} {
			far, near := &guest{again: func(time.Time) time.Time { return at }}, &guest{}
			w.Add(&far.Entry, far, time.Now())
			w.Add(&near.Entry, near, time.Now().Add(time.Minute))
			time.Sleep(time.Hour)
			require.Len(t, far.seen(), 1, at)
			require.Len(t, near.seen(), 1, at)
			asked := time.Now()
			w.Hurry(&far.Entry, asked)
			time.Sleep(time.Second)
			require.Len(t, far.seen(), 2, at)
			punctual(t, asked, far.seen()[1])
		}
	})
}

func TestHurry(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		g, start := &guest{}, time.Now()
		w.Hurry(&g.Entry, start) // has no effect: not in the wheel
		w.Add(&g.Entry, g, start.Add(time.Hour))
		w.Hurry(&g.Entry, start.Add(2*time.Hour)) // has no effect: later than the next visit
		w.Hurry(&g.Entry, start.Add(time.Minute))
		time.Sleep(3 * time.Hour)
		require.Len(t, g.seen(), 1)
		punctual(t, start.Add(time.Minute), g.seen()[0])
		w.Hurry(&g.Entry, time.Now()) // has no effect: it wants no more visits
		time.Sleep(time.Hour)
		require.Len(t, g.seen(), 1)
	})
}

func TestHurryDuringAVisit(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		g := &guest{}
		g.again = func(now time.Time) time.Time {
			if len(g.visits) == 1 {
				w.Hurry(&g.Entry, now.Add(time.Minute))
			}
			return now.Add(time.Hour)
		}
		w.Add(&g.Entry, g, time.Now())
		time.Sleep(30 * time.Minute)
		visits := g.seen()
		require.Len(t, visits, 2)
		punctual(t, visits[0].Add(time.Minute), visits[1])
	})
}

func TestRemove(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		gone, kept, leaves := &guest{}, &guest{}, &guest{}
		leaves.again = func(now time.Time) time.Time {
			w.Remove(&leaves.Entry)
			return now.Add(time.Second)
		}
		at := time.Now().Add(time.Minute)
		for _, g := range []*guest{gone, kept, leaves} {
			w.Add(&g.Entry, g, at)
		}
		w.Remove(&gone.Entry)
		w.Remove(&gone.Entry)
		time.Sleep(time.Hour)
		require.Empty(t, gone.seen())
		require.Len(t, kept.seen(), 1)
		require.Len(t, leaves.seen(), 1)
	})
}

func TestNoVisitsAfterClose(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		g := &guest{}
		w.Add(&g.Entry, g, time.Now().Add(time.Second))
		w.Close()
		w.Close()
		time.Sleep(time.Minute)
		require.Empty(t, g.seen())
	})
}

func TestConcurrentUse(t *testing.T) {
	turning(t, func(t *testing.T, w *wheel.Wheel) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				g := &guest{again: func(now time.Time) time.Time { return now.Add(2 * time.Second) }}
				w.Add(&g.Entry, g, time.Now().Add(time.Duration(i)*100*time.Millisecond))
				time.Sleep(time.Minute)
				w.Hurry(&g.Entry, time.Now())
				time.Sleep(time.Minute)
				w.Remove(&g.Entry)
				g.mu.Lock()
				defer g.mu.Unlock()
				if len(g.visits) < 30 {
					t.Errorf("guest %d was visited %d times", i, len(g.visits))
				}
			})
		}
		wg.Wait()
	})
}
