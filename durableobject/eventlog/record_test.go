package eventlog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestClone(t *testing.T) {
	t.Parallel()
	full := func() *eventlog.Record {
		return &eventlog.Record{
			Seq: 2, Prev: 1, Epoch: "e", Time: time.Unix(1, 2), Data: []byte("data"), Meta: []byte("meta"),
			Key: "key",
			Audience: eventlog.Audience{
				Tags: []string{"tag"}, Targets: []eventlog.Recipient{{ID: "target"}}, Excludes: []eventlog.Recipient{{ID: "exclude"}},
			},
		}
	}
	records := map[string]*eventlog.Record{
		"full":  full(),
		"nils":  {},
		"empty": {Data: []byte{}, Meta: []byte{}, Audience: eventlog.Audience{Tags: []string{}, Targets: []eventlog.Recipient{}}},
	}
	for name, r := range records {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, r, r.Clone())
		})
	}
	t.Run("shares nothing", func(t *testing.T) {
		t.Parallel()
		r := full()
		c := r.Clone()
		r.Data[0], r.Meta[0], r.Tags[0], r.Targets[0].ID, r.Excludes[0].ID = 'x', 'x', "x", "x", "x"
		require.Equal(t, full(), c)
	})
}
