package eventlogtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// Each handle is a log.
func TestSharedMemory(t *testing.T) {
	t.Parallel()
	eventlogtest.RunStore(t, eventlogtest.Store{
		Open: func(*testing.T) eventlog.Log { return eventlogtest.NewSharedMemory(nil).Open() },
		OpenRetention: func(_ *testing.T, retention time.Duration) eventlog.Log {
			return eventlogtest.NewSharedMemory(&eventlog.MemoryOptions{Retention: retention}).Open()
		},
	})
}

func openShared(*testing.T) eventlogtest.SharedLog {
	m := eventlogtest.NewSharedMemory(nil)
	return eventlogtest.SharedLog{
		Handle: func(*testing.T) eventlog.Shared { return m.Open() },
		Drop: func(h eventlog.Shared, drop bool) {
			h.(*eventlogtest.Handle).Disturb(func(string, *eventlog.Record) eventlogtest.Fate {
				return eventlogtest.Fate{Drop: drop}
			})
		},
		Replace: m.Replace,
		Cut:     func(h eventlog.Shared, cut bool) { h.(*eventlogtest.Handle).Cut(cut) },
	}
}

func TestSharedMemoryIsShared(t *testing.T) {
	t.Parallel()
	eventlogtest.RunShared(t, eventlogtest.SharedStore{Bubble: true, Open: openShared})
}

// The views of handles are logs too.
func TestSharedMemoryViews(t *testing.T) {
	t.Parallel()
	eventlogtest.RunShared(t, eventlogtest.SharedStore{Bubble: true, Open: func(t *testing.T) eventlogtest.SharedLog {
		l := openShared(t)
		handle, drop, cut := l.Handle, l.Drop, l.Cut
		under := map[eventlog.Shared]eventlog.Shared{}
		l.Handle = func(t *testing.T) eventlog.Shared {
			h := handle(t)
			view, ok := eventlog.Prefix(h, "chat/").(eventlog.Shared)
			require.True(t, ok)
			under[view] = h
			t.Cleanup(func() { require.NoError(t, h.Close()) })
			return view
		}
		l.Drop = func(h eventlog.Shared, on bool) { drop(under[h], on) }
		l.Cut = func(h eventlog.Shared, on bool) { cut(under[h], on) }
		return l
	}})
}
