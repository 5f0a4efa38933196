package filelog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// TestReplayKeepsRecordsApart replays records in an order in which each has less, more or
// other content than the previous one, whose memory it reuses.
func TestReplayKeepsRecordsApart(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	ann, bob := eventlog.Recipient{Subject: "ann", ID: "1"}, eventlog.Recipient{Subject: "bob", ID: "2"}
	written := []*eventlog.Record{
		{Data: []byte("data"), Meta: []byte("meta"), Audience: eventlog.Audience{Tags: []string{"a", "b"}}},
		{Audience: eventlog.Audience{Tags: []string{"b"}, Targets: []eventlog.Recipient{ann, bob}}},
		{Data: []byte{}, Audience: eventlog.Audience{Tags: []string{}, Targets: []eventlog.Recipient{bob}}},
		{},
		{Audience: eventlog.Audience{Targets: []eventlog.Recipient{}, Excludes: []eventlog.Recipient{ann}}},
		{Meta: []byte("meta"), Audience: eventlog.Audience{Tags: []string{"a", "", "b", "c"}, Excludes: []eventlog.Recipient{}}},
		{Audience: eventlog.Audience{Targets: []eventlog.Recipient{bob, ann, bob}}},
	}
	for _, r := range written {
		require.NoError(t, l.Append(t.Context(), "a", r, nil))
	}
	replay, err := l.After(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	var clones []*eventlog.Record
	for r, err := range replay.Records {
		require.NoError(t, err)
		require.Equal(t, written[len(clones)], r)
		clones = append(clones, r.Clone())
	}
	require.Equal(t, written, clones)
	require.NoError(t, l.Close())
}

// TestReplayAllocations replays a history without allocating memory for each record.
func TestReplayAllocations(t *testing.T) {
	const n = 20_000
	l := openLog(t, t.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	fill(t, l, n, "a")
	allocations := testing.AllocsPerRun(3, func() { require.Equal(t, n, replayAll(t, l, "a")) })
	require.Less(t, allocations, 200.0)
	require.NoError(t, l.Close())
}
