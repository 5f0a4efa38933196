package filelog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

func TestConformance(t *testing.T) {
	options := map[string]filelog.Options{
		"sync every commit": {},
		"never sync":        {Sync: filelog.SyncNever},
		"sync at intervals": {Sync: filelog.SyncInterval, SyncInterval: time.Millisecond},
		"small segments":    {Sync: filelog.SyncNever, SegmentBytes: 1},
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			openDir := func(t *testing.T, dir string, o filelog.Options) eventlog.Log {
				l, err := filelog.Open(dir, &o)
				require.NoError(t, err)
				require.NoError(t, l.Report().Err())
				require.True(t, l.Report().Clean)
				return l
			}
			eventlogtest.RunStore(t, eventlogtest.Store{
				Open:      func(t *testing.T) eventlog.Log { return openDir(t, t.TempDir(), o) },
				ExactTrim: true,
				OpenRetention: func(t *testing.T, retention time.Duration) eventlog.Log {
					o := o
					o.Retention = retention
					return openDir(t, t.TempDir(), o)
				},
				OpenDir: func(t *testing.T, dir string) eventlog.Log { return openDir(t, dir, o) },
			})
		})
	}
}
