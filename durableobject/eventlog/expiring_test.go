package eventlog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	hour := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Hour})
	unlimited := eventlog.NewMemory(nil)
	for name, tc := range map[string]struct {
		log  eventlog.Log
		want time.Duration
	}{
		"memory":                  {hour, time.Hour},
		"memory without a limit":  {unlimited, 0},
		"a prefix":                {eventlog.Prefix(hour, "a/"), time.Hour},
		"a log that does not say": {struct{ eventlog.Log }{hour}, 0},
	} {
		require.Equal(t, tc.want, eventlog.Retention(tc.log), name)
	}
	require.NoError(t, hour.Close())
	require.NoError(t, unlimited.Close())
}
