package filelog

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// FuzzRecovery opens a log after some of its bytes were changed: Open must not panic, and
// it must replay only records that were written.
func FuzzRecovery(f *testing.F) {
	const (
		segmentFile = iota
		checkpointFile
	)
	f.Add(uint8(segmentFile), uint16(40), []byte{0}, uint16(0), true)
	f.Add(uint8(segmentFile), uint16(0), []byte("orpclog1"), uint16(10), false)
	f.Add(uint8(segmentFile), uint16(32), []byte{0xff, 0xff, 0xff, 0x7f}, uint16(0), false)
	f.Add(uint8(segmentFile), uint16(900), bytes.Repeat([]byte{0}, 300), uint16(200), true)
	f.Add(uint8(checkpointFile), uint16(9), []byte{1, 2, 3, 4, 5, 6, 7, 8}, uint16(0), true)
	f.Add(uint8(checkpointFile), uint16(60), []byte{0xff}, uint16(30), false)

	options, err := (&Options{SegmentBytes: 700}).withDefaults()
	require.NoError(f, err)
	killed := newDisk(rand.New(rand.NewPCG(6, 6)))
	l, err := open(killed, options)
	require.NoError(f, err)
	written := map[uint64]*eventlog.Record{}
	for range 20 {
		r := &eventlog.Record{Data: bytes.Repeat([]byte("data "), 8), Meta: []byte("meta")}
		require.NoError(f, l.Append(f.Context(), "a", r, nil))
		written[r.Seq] = r
	}
	killed = killed.clone()
	require.NoError(f, l.Close())
	closed := l.dir.(*disk)

	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte, cut uint16, clean bool) {
		d := killed.clone()
		if clean {
			d = closed.clone()
		}
		names, err := d.List()
		require.NoError(t, err)
		n := d.names[names[int(which)%len(names)]]
		if len(n.data) > 0 {
			from := int(at) % len(n.data)
			copy(n.data[from:], with)
			n.data = n.data[:max(0, len(n.data)-int(cut))]
		}
		_, err = check(d)
		require.NoError(t, err)
		l, err := open(d, options)
		require.NoError(t, err)
		replay, err := l.After(t.Context(), "a", eventlog.Position{})
		require.NoError(t, err)
		kept, last := 0, uint64(0)
		for r, err := range replay.Records {
			require.NoError(t, err)
			require.Equal(t, written[r.Seq], r)
			kept, last = kept+1, r.Seq
		}
		// A file that was not closed may end early, at the end of a record. This cannot be
		// distinguished from a commit that was never written.
		if kept < len(written) && (clean || last == uint64(len(written))) {
			require.NotZero(t, l.Report().Cut+int64(len(l.Report().Damage)), "lost records are not reported")
		}
		require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{}, nil))
		require.NoError(t, l.Close())
		checkSound(t, d)
	})
}

// FuzzRecord parses arbitrary bytes.
func FuzzRecord(f *testing.F) {
	seed := seedOf(1)
	whole := appendRecord(nil, seed, stamp{epoch: 1, seq: 2, prev: 1, time: 3}, "channel", &eventlog.Record{
		Data: []byte("data"), Meta: []byte("meta"),
		Audience: eventlog.Audience{
			Tags:     []string{"a", "b"},
			Targets:  []eventlog.Recipient{{Subject: "s", ID: "1"}},
			Excludes: []eventlog.Recipient{{ID: "2"}},
		},
	})
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		var s stored
		if n, ok := s.parse(b, seed); ok {
			require.Equal(t, recordSum(seed, b[:n]), uint32(b[4])|uint32(b[5])<<8|uint32(b[6])<<16|uint32(b[7])<<24)
			new(scratch).load(&s, "e")
		}
		if len(b) < lengthBytes {
			return
		}
		// The same bytes with a valid checksum must not cause a panic either.
		b = bytes.Clone(b)
		b[0], b[1], b[2], b[3] = byte(len(b)-lengthBytes), byte((len(b)-lengthBytes)>>8), byte((len(b)-lengthBytes)>>16), 0
		sum := recordSum(seed, b)
		b[4], b[5], b[6], b[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		if n, ok := s.parse(b, seed); ok {
			require.Equal(t, len(b), n)
			new(scratch).load(&s, "e")
		}
	})
}
