package filelog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// sample is a log of about 64 KiB and its records.
type sample struct {
	d       *disk
	options Options
	records map[string][]*eventlog.Record // by channel
	last    *eventlog.Record
}

func newSample(t *testing.T, segmentBytes, dataBytes int) *sample {
	options, err := (&Options{SegmentBytes: segmentBytes}).withDefaults()
	require.NoError(t, err)
	s := &sample{d: newDisk(rand.New(rand.NewPCG(5, 5))), options: options, records: map[string][]*eventlog.Record{}}
	l, err := open(s.d, options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // its disk may have been damaged
	for i := 0; l.Stats().Bytes < 60<<10; i++ {
		channel := channelName(i % 3)
		data := fmt.Appendf(make([]byte, 0, dataBytes), "%0*d", dataBytes, i)
		s.last = &eventlog.Record{Data: data, Meta: []byte(`"x":1`), Audience: eventlog.Audience{Tags: []string{channel}}}
		require.NoError(t, l.Append(t.Context(), channel, s.last, nil))
		s.records[channel] = append(s.records[channel], s.last)
	}
	return s
}

// close closes the log and returns the disk.
func (s *sample) close(t *testing.T) *disk {
	l, err := open(s.d.clone(), s.options)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.dir.(*disk)
}

// TestFlippedBytes damages every byte of a log of 64 KiB in turn. The damage must be
// detected, by Check without changing anything, and no wrong record may be replayed.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	const sparse = 101 // bytes between flips: a prime number, so that every kind of field is hit
	every := sparse
	if long() {
		every = 1
	}
	s := newSample(t, 16<<10, 150)
	cases := map[string]struct {
		d     *disk
		clean bool
		step  int
	}{
		"closed log":  {s.close(t), true, every},
		"killed log":  {s.d.clone(), false, every},
		"one segment": {newSample(t, 1<<20, 150).d.clone(), false, sparse},
		"large data":  {newSample(t, 1<<20, 5000).d.clone(), false, sparse},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := history(t, c.d.clone(), s.options)
			files, err := c.d.List()
			require.NoError(t, err)
			for _, file := range files {
				size := len(c.d.names[file].data)
				for at := 0; at < size; at += c.step {
					flip(t, c.d.clone(), s.options, before, file, at, c.clean)
				}
			}
		})
	}
}

// flip damages one byte.
func flip(t *testing.T, d *disk, o Options, before map[string][]*eventlog.Record, file string, at int, clean bool) {
	where := fmt.Sprintf("%s at %d", file, at)
	d.names[file].data[at] ^= byte(1 + at%255)
	whole := d.clone()

	found, err := check(d)
	require.NoError(t, err, where)
	require.True(t, len(found.Damage) > 0 || found.Cut > 0, "not found: %s", where)
	require.Equal(t, whole.names[file].data, d.names[file].data, "Check changed %s", file)
	if clean {
		require.NotEmpty(t, found.Damage, where)
	}

	l, err := open(d, o)
	require.NoError(t, err, where)
	report := l.Report()
	require.Equal(t, found.Damage, report.Damage, where)
	require.Equal(t, found.Cut, report.Cut, where)
	require.True(t, report.NewEpoch, where)
	for channel, was := range before {
		missing := survivors(t, l, channel, was, where)
		if missing > 0 && len(report.Damage) == 0 {
			// It was taken for an interrupted write, which only the newest record may be.
			require.Equal(t, 1, missing, where)
		}
	}
	require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{Data: []byte("x")}, nil), where)
	require.NoError(t, l.Close(), where)
	again, err := check(d)
	require.NoError(t, err, where)
	require.NoError(t, again.Err(), "%s: not mended", where)
	require.Zero(t, again.Cut, where)
	require.Len(t, again.Quarantine, len(report.Quarantine), where)
}

// survivors checks that the records that the log replays of a channel are among the stored
// ones, and that the replay is truncated if some are missing. It returns how many are
// missing.
func survivors(t *testing.T, l *Log, channel string, was []*eventlog.Record, where string) (missing int) {
	head, err := l.Head(t.Context(), channel)
	require.NoError(t, err, where)
	replay, err := l.After(t.Context(), channel, eventlog.Position{Epoch: head.Epoch})
	require.NoError(t, err, where)
	stored := map[uint64]*eventlog.Record{}
	for _, r := range was {
		stored[r.Seq] = r
	}
	n, last := 0, uint64(0)
	for r, err := range replay.Records {
		if err != nil || r.Seq <= last {
			require.Failf(t, "bad replay", "%s: %v after %d: %v", where, r, last, err)
		}
		if w := stored[r.Seq]; w == nil || w.Epoch != r.Epoch || string(w.Data) != string(r.Data) ||
			string(w.Meta) != string(r.Meta) || len(r.Tags) != 1 || r.Tags[0] != w.Tags[0] {
			require.Equal(t, w, r, where)
		}
		n, last = n+1, r.Seq
	}
	missing = len(was) - n
	if missing > 0 && last == was[len(was)-1].Seq {
		require.True(t, replay.Truncated, where)
	}
	if lost := was[len(was)-1]; last < lost.Seq {
		replay, err := l.After(t.Context(), channel, lost.Position())
		require.NoError(t, err, where)
		require.True(t, replay.Truncated || head.Seq >= lost.Seq, "%s: the id of a lost record is complete", where)
	}
	return missing
}

// history returns all records of an undamaged log.
func history(t *testing.T, d *disk, o Options) map[string][]*eventlog.Record {
	l, err := open(d, o)
	require.NoError(t, err)
	all := map[string][]*eventlog.Record{}
	for i := range 3 {
		replay, err := l.After(t.Context(), channelName(i), eventlog.Position{})
		require.NoError(t, err)
		for r, err := range replay.Records {
			require.NoError(t, err)
			all[channelName(i)] = append(all[channelName(i)], r.Clone())
		}
	}
	require.NoError(t, l.Close())
	return all
}

// TestMissingFiles removes each file in turn.
func TestMissingFiles(t *testing.T) {
	t.Parallel()
	s := newSample(t, 8<<10, 150)
	d := s.close(t)
	files, err := d.List()
	require.NoError(t, err)
	oldest := true
	for _, file := range files {
		d := d.clone()
		delete(d.names, file)
		found, err := check(d)
		require.NoError(t, err)
		l, err := open(d, s.options)
		require.NoError(t, err)
		require.Equal(t, found.Damage, l.Report().Damage)
		if _, ok := parseSegmentName(file); ok && oldest {
			// As after a trim, positions before the remaining records are truncated.
			oldest = false
			require.Empty(t, found.Damage)
		} else if file != segmentName(s.last.Seq+1) { // which has no records
			require.NotEmpty(t, found.Damage, file)
			require.True(t, l.Report().NewEpoch)
		}
		for channel, was := range s.records {
			survivors(t, l, channel, was, file)
		}
		r := &eventlog.Record{}
		require.NoError(t, l.Append(t.Context(), "a", r, nil))
		require.Greater(t, r.Seq, s.last.Seq, "no Seq is used again")
		require.NoError(t, l.Close())
	}
}

// Bytes that are damaged after Open are not replayed either.
func TestDamageWhileOpen(t *testing.T) {
	t.Parallel()
	s := newSample(t, 8<<10, 150)
	d := s.close(t)
	l, err := open(d, s.options)
	require.NoError(t, err)
	name := segmentName(1)
	size := len(d.names[name].data)
	for at := headerBytes; at < size-trailerBytes; at += 7 {
		d.names[name].data[at] ^= 0x10
		for channel, was := range s.records {
			replay, err := l.After(t.Context(), channel, eventlog.Position{})
			require.NoError(t, err)
			i := 0
			for r, err := range replay.Records {
				if err != nil {
					break
				}
				require.Equal(t, was[i].Seq, r.Seq, "a hole at %d", at)
				require.Equal(t, was[i].Data, r.Data)
				i++
			}
		}
		d.names[name].data[at] ^= 0x10
	}
	require.NoError(t, l.Close())
}
