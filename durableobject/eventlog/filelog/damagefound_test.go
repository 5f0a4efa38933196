package filelog

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// resume returns the Seqs of the records after a position, and the error of the replay.
func resume(t *testing.T, l *Log, channel string, p eventlog.Position) (seqs []uint64, truncated bool, err error) {
	t.Helper()
	replay, err := l.After(t.Context(), channel, p)
	require.NoError(t, err)
	for r, err := range replay.Records {
		if err != nil {
			return seqs, replay.Truncated, err
		}
		seqs = append(seqs, r.Seq)
	}
	return seqs, replay.Truncated, nil
}

// A reader that needs records that were damaged after Open gets an error, and then a
// truncated replay without them. Otherwise it would resume forever.
func TestReadersPassDamage(t *testing.T) {
	t.Parallel()
	harms := map[string]func(d *disk){
		"a record":          func(d *disk) { d.names[segmentName(1)].data[2000] ^= 1 },
		"its length":        func(d *disk) { clear(d.names[segmentName(1)].data[2000:2300]) },
		"a list of records": func(d *disk) { n := d.names[segmentName(1)]; clear(n.data[len(n.data)-300 : len(n.data)-100]) },
		"the rest of a file": func(d *disk) {
			n := d.names[segmentName(1)]
			n.data = n.data[:2000]
		},
		"a file": func(d *disk) { delete(d.names, segmentName(1)) },
		"every file": func(d *disk) {
			maps.DeleteFunc(d.names, func(name string, _ *inode) bool { return name != checkpointName })
		},
	}
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, 8<<10, 150)
			d := s.close(t)
			l, err := open(d, s.options)
			require.NoError(t, err)
			harm(d)
			for channel, was := range s.records {
				first := was[0].Position()
				before, truncated, err := resume(t, l, channel, first)
				for tries := 0; err != nil; tries++ { // one for each channel with records that are lost
					require.ErrorIs(t, err, ErrDamaged)
					require.Less(t, tries, 100)
					before, truncated, err = resume(t, l, channel, first)
				}
				require.Equal(t, l.found.Load() > first.Seq, truncated)
				require.True(t, truncated || len(before) == len(was)-1, "%s: %v", channel, before)
				for _, r := range was[1:] {
					if !slices.Contains(before, r.Seq) {
						require.LessOrEqual(t, r.Seq, l.found.Load())
					}
				}
				if name != "every file" {
					require.Greater(t, len(before), len(was)/2)
				}
			}
			found := l.found.Load()
			require.NotZero(t, found)
			for channel, was := range s.records { // positions after the damage are still complete
				i := slices.IndexFunc(was, func(r *eventlog.Record) bool { return r.Seq > found })
				if i < 0 || i+1 == len(was) {
					continue
				}
				after, truncated, err := resume(t, l, channel, was[i].Position())
				require.NoError(t, err)
				require.False(t, truncated)
				require.Len(t, after, len(was)-i-1)
			}
			_ = l.Close() // its files may be gone
		})
	}
}
