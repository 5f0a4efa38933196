package natslog

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// TestShared opens several handles on one stream, each with a connection of its own.
func TestShared(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	eventlogtest.RunShared(t, eventlogtest.SharedStore{Open: func(t *testing.T) eventlogtest.SharedLog {
		o := Options{Stream: freshName(), TailCheck: DefaultTailCheck / 4}
		var handles []*Log
		return eventlogtest.SharedLog{
			Handle: func(t *testing.T) eventlog.Shared {
				l := openLog(t, connect(t, s), o)
				handles = append(handles, l)
				return l
			},
			Drop: func(h eventlog.Shared, drop bool) { h.(*Log).deaf.Store(drop) },
			Replace: func() {
				js, err := jetstream.New(connect(t, s))
				require.NoError(t, err)
				require.NoError(t, js.DeleteStream(t.Context(), o.Stream))
				require.NoError(t, openLog(t, connect(t, s), o).Close())
				for _, l := range handles {
					_ = l.check(context.Background()) // it notices
				}
			},
		}
	}})
}
