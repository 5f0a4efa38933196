package natslog

import (
	"encoding/hex"
	"hash/fnv"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	eventlogtest.RunStore(t, eventlogtest.Store{
		CoarseFloor: true,
		AnyFirst:    true,
		Open: func(t *testing.T) eventlog.Log {
			return openLog(t, connect(t, s), Options{Stream: freshName()})
		},
		OpenDir: func(t *testing.T, dir string) eventlog.Log {
			name := fnv.New64a()
			_, _ = name.Write([]byte(dir)) // always returns nil
			return openLog(t, connect(t, s), Options{Stream: hex.EncodeToString(name.Sum(nil))})
		},
		RealTime: 16 * time.Second,
		OpenRetention: func(t *testing.T, retention time.Duration) eventlog.Log {
			return openLog(t, connect(t, s), Options{
				Stream: freshName(), Retention: retention, TailCheck: retention / 20,
			})
		},
	})
}
