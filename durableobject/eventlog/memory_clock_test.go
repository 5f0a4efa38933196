package eventlog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The machine's clock was set back by a day after records were written. A caller that trims
// by that clock drops them when they are old enough.
func TestMemoryTrimsWhatIsOfTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		m.newest = time.Now().Add(24 * time.Hour).Round(0)
		count := func() (n int) {
			replay, err := m.After(t.Context(), "a", Position{})
			require.NoError(t, err)
			for _, err := range replay.Records {
				require.NoError(t, err)
				n++
			}
			return n
		}
		r := &Record{}
		require.NoError(t, m.Append(t.Context(), "a", r, func(*Record) {}))
		time.Sleep(time.Hour)
		require.NoError(t, m.Trim(t.Context(), time.Now().Add(-time.Hour)))
		require.NoError(t, m.Trim(t.Context(), r.Time))
		require.Equal(t, 1, count(), "no older than that")
		time.Sleep(time.Second)
		require.NoError(t, m.Trim(t.Context(), time.Now().Add(-time.Hour)))
		require.Zero(t, count())
		require.NoError(t, m.Close())
	})
}
