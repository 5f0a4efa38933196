package eventlog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	eventlogtest.RunStore(t, eventlogtest.Store{
		Open:      func(*testing.T) eventlog.Log { return eventlog.NewMemory(nil) },
		ExactTrim: true,
		OpenRetention: func(_ *testing.T, retention time.Duration) eventlog.Log {
			return eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention})
		},
	})
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, retention time.Duration) eventlog.Log {
		log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention})
		t.Cleanup(func() { require.NoError(t, log.Close()) })
		return eventlog.Prefix(log, "chat/")
	}
	eventlogtest.RunStore(t, eventlogtest.Store{
		Open:          func(t *testing.T) eventlog.Log { return open(t, 0) },
		OpenRetention: open,
	})
}

// plain is a log that only has the methods of [eventlog.Log].
type plain struct{ eventlog.Log }

func TestPlainLog(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(*testing.T) eventlog.Log { return plain{eventlog.NewMemory(nil)} })
}
