package socket

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// visited is a Source that records when it was visited, and wants to be visited again
// after the next of some durations.
type visited struct {
	script

	at    []time.Time
	after []time.Duration
}

func (v *visited) Visit(now time.Time) (again time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = append(v.at, now)
	if len(v.after) == 0 {
		return time.Time{}
	}
	again = now.Add(v.after[0])
	v.after = v.after[1:]
	return again
}

// times returns the times of the visits so far.
func (v *visited) times() []time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.at)
}

// A source is visited less than a second after the time that it has returned, or earlier.
func TestVisits(t *testing.T) {
	for _, ping := range []time.Duration{0, 30 * time.Second} {
		t.Run(ping.String(), func(t *testing.T) {
			inBubble(t, ping, func(t *testing.T, pool *Pool, _ func() *peer) {
				after := []time.Duration{2 * time.Second, 10 * time.Second, 20 * time.Second, time.Second}
				src := &visited{after: slices.Clone(after)}
				p := pipe(t, pool, src)
				time.Sleep(25 * time.Second / 2)
				p.send(opPong, "")
				time.Sleep(25 * time.Second)
				p.conn.Kill()
				<-p.code
				synctest.Wait()
				visits := src.times()
				require.Greater(t, len(visits), len(after))
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Len(t, src.times(), len(visits), "not after the end")
				for i, want := range after {
					took := visits[i+1].Sub(visits[i])
					require.GreaterOrEqual(t, took, want)
					require.Less(t, took, want+time.Second)
				}
			})
		})
	}
}

func TestVisitAt(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		src := &visited{}
		p := pipe(t, pool, src)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, src.times(), 1)
		p.conn.VisitAt(time.Now().Add(5 * time.Second))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Len(t, src.times(), 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, src.times(), 2)
		p.end()
	})
}

// A visit between a ping and the time by which it must be answered changes neither.
func TestVisitOfASilentPeer(t *testing.T) {
	inBubble(t, 30*time.Second, func(t *testing.T, pool *Pool, _ func() *peer) {
		begin := time.Now()
		p := pipe(t, pool, &visited{after: []time.Duration{45 * time.Second, 4 * time.Second}})
		op, _ := p.read()
		require.Equal(t, byte(opPing), op)
		_, _, err := p.tryRead()
		require.ErrorIs(t, err, io.EOF, "no second ping")
		require.Equal(t, -1, <-p.code)
		require.GreaterOrEqual(t, time.Since(begin), time.Minute)
		require.LessOrEqual(t, time.Since(begin), 62*time.Second)
	})
}
