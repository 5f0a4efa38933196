package filelog

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// fullDisk is a log on a disk that is too small for its records.
type fullDisk struct {
	t       *testing.T
	d       *disk
	options Options
	known   *oracle
	l       *Log
}

const fullRetention = time.Hour

// fillDisk opens a log on the disk and writes to it until nothing more fits.
func fillDisk(t *testing.T, seed uint64, d *disk, o Options) *fullDisk {
	options, err := o.withDefaults()
	require.NoError(t, err)
	f := &fullDisk{t: t, d: d, options: options, known: newOracle(t, seed)}
	f.open()
	f.fill()
	return f
}

func (f *fullDisk) open() {
	l, err := open(f.d, f.options)
	require.NoError(f.t, err)
	require.NoError(f.t, l.Report().Err())
	f.l = l
}

// fill writes until nothing more fits.
func (f *fullDisk) fill() {
	f.t.Helper()
	var err error
	for range 10_000 {
		if err = f.known.append(f.t.Context(), f.l); err != nil {
			break
		}
	}
	require.ErrorIs(f.t, err, ErrNotStored)
	require.ErrorIs(f.t, err, syscall.ENOSPC)
	f.known.verify(f.l)
}

// works checks that the log accepts records again, keeps them, and has lost none.
func (f *fullDisk) works() {
	f.t.Helper()
	for range 3 {
		require.NoError(f.t, f.known.append(f.t.Context(), f.l))
	}
	require.NoError(f.t, f.l.Stats().Failure)
	f.known.verify(f.l)
}

// restart ends the log, cleanly or with a loss of power, and opens it again.
func (f *fullDisk) restart(power bool) {
	f.t.Helper()
	if power {
		f.d.powerIn(1)
		_ = f.known.append(f.t.Context(), f.l) // the power is lost
	}
	_ = f.l.Close() // the disk may be too full to close it
	if power {
		f.d = f.d.afterPowerLoss()
	}
	f.open()
	f.known.verify(f.l)
}

// expired sleeps until all records have expired.
func (f *fullDisk) expired() {
	time.Sleep(2 * fullRetention)
	f.known.trimmed = time.Now().Add(-fullRetention)
}

// disks are disks that are too small in different ways.
var disks = map[string]struct {
	space, files int
	options      Options
}{
	"many segments":               {4000, 0, Options{SegmentBytes: 400}},
	"one segment":                 {4000, 0, Options{SegmentBytes: 1 << 20}},
	"a segment and a half":        {4000, 0, Options{SegmentBytes: 2500}},
	"too many files":              {0, 6, Options{SegmentBytes: 400}},
	"room for three files":        {0, 3, Options{SegmentBytes: 1500}},
	"full before the footer":      {700, 0, Options{SegmentBytes: 600}},
	"without syncs":               {4000, 0, Options{SegmentBytes: 1 << 20, Sync: SyncNever}},
	"syncs at intervals":          {4000, 0, Options{SegmentBytes: 400, Sync: SyncInterval}},
	"segments are cut bit by bit": {4000, 0, Options{SegmentBytes: 900, cutBytes: 200}},
}

// onFullDisk runs a test on each kind of full disk, and with several sizes of records.
func onFullDisk(t *testing.T, retention time.Duration, test func(t *testing.T, f *fullDisk)) {
	for name, c := range disks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					d := newDisk(rand.New(rand.NewPCG(seed, 1)))
					d.space, d.files = c.space, c.files
					o := c.options
					o.Retention = retention
					f := fillDisk(t, seed, d, o)
					f.known.lossy = o.Sync != SyncCommit
					test(t, f)
					_ = f.l.Close() // the disk may be full again
				})
			}
		})
	}
}

func TestFullDiskIsLeftWhenRecordsExpire(t *testing.T) {
	t.Parallel()
	onFullDisk(t, fullRetention, func(_ *testing.T, f *fullDisk) {
		for range 3 {
			f.expired()
			f.works()
			f.fill()
		}
	})
}

// An append on a full disk does not wait until expired records are next removed.
func TestFullDiskIsLeftByAnAppend(t *testing.T) {
	t.Parallel()
	onFullDisk(t, fullRetention, func(t *testing.T, f *fullDisk) {
		time.Sleep(fullRetention + time.Minute)
		f.known.trimmed = time.Now().Add(-fullRetention)
		require.NoError(t, f.known.append(t.Context(), f.l))
		f.works()
	})
}

func TestFullDiskIsLeftByATrim(t *testing.T) {
	t.Parallel()
	onFullDisk(t, 0, func(t *testing.T, f *fullDisk) {
		for range 3 {
			time.Sleep(time.Second)
			f.known.trimmed = time.Now()
			require.NoError(t, f.l.Trim(t.Context(), time.Now()))
			stats := f.l.Stats()
			require.Equal(t, stats.Head, stats.Floor, "everything is dropped")
			f.works()
			f.fill()
		}
	})
}

func TestFullDiskIsLeftWhenThereIsSpace(t *testing.T) {
	t.Parallel()
	onFullDisk(t, 0, func(_ *testing.T, f *fullDisk) {
		f.d.mu.Lock()
		f.d.space, f.d.files = 0, 0
		f.d.mu.Unlock()
		f.works()
		f.restart(false)
		f.works()
	})
}

// TestOpenOnAFullDisk opens a log on a full disk, before and after all of its records have
// expired.
func TestOpenOnAFullDisk(t *testing.T) {
	t.Parallel()
	for name, power := range map[string]bool{"closed": false, "power lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onFullDisk(t, fullRetention, func(_ *testing.T, f *fullDisk) {
				f.restart(power)
				f.expired()
				f.restart(power)
				f.works()
				f.fill()
				f.restart(power)
			})
		})
	}
}

// TestOpenOnAFullDiskAfterExpiry opens it only after all records have expired.
func TestOpenOnAFullDiskAfterExpiry(t *testing.T) {
	t.Parallel()
	onFullDisk(t, fullRetention, func(_ *testing.T, f *fullDisk) {
		f.d.powerIn(1)
		_ = f.known.append(f.t.Context(), f.l) // the power is lost
		_ = f.l.Close()
		f.d = f.d.afterPowerLoss()
		f.expired()
		f.open()
		f.works()
	})
}

// TestFullDiskFromAnyCallOn fills the disk from each call on in turn, for all kinds of
// calls, even those that only some file systems refuse, and frees it some appends later.
func TestFullDiskFromAnyCallOn(t *testing.T) {
	t.Parallel()
	refused := map[string][]string{
		"writes":            {"write", "create"},
		"and changed names": {"write", "create", "rename"},
		"and truncations":   {"write", "create", "truncate"},
		"all but reads":     {"write", "create", "rename", "truncate", "remove", "edit"},
	}
	for name, ops := range refused {
		for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
			t.Run(name+", "+cause.Error(), func(t *testing.T) {
				t.Parallel()
				for nth := range 80 {
					fillFrom(t, nth, ops, cause)
				}
			})
		}
	}
}

func fillFrom(t *testing.T, nth int, ops []string, cause error) {
	options, err := (&Options{SegmentBytes: 400, cutBytes: 150}).withDefaults()
	require.NoError(t, err)
	d, known := newDisk(rand.New(rand.NewPCG(uint64(nth), 9))), newOracle(t, uint64(nth))
	l, err := open(d, options)
	require.NoError(t, err)
	calls := 0
	full := func(op, _ string) error {
		calls++
		if calls > nth && slices.Contains(ops, op) {
			return cause
		}
		return nil
	}
	for round := range 3 {
		calls = 0
		d.arm(full)
		for range 25 {
			if err := known.append(t.Context(), l); err != nil {
				require.ErrorIs(t, err, cause)
				if !errors.Is(err, eventlog.ErrUncertain) {
					require.ErrorIs(t, err, ErrNotStored)
				}
			}
		}
		if round == 1 {
			known.trim(l)
		}
		known.verify(l)
		d.arm(nil)
		require.NoError(t, known.append(t.Context(), l), "call %d, round %d", nth, round)
		require.NoError(t, l.Stats().Failure)
	}
	d.arm(full)
	_ = l.Close()
	d.arm(nil)
	l, err = open(d, options)
	require.NoError(t, err)
	require.NoError(t, l.Report().Err())
	known.verify(l)
	require.NoError(t, l.Close())
	checkSound(t, d.afterPowerLoss())
}

// TestFullDiskAndPowerLoss loses the power at each change that a log makes to free space on
// a full disk.
func TestFullDiskAndPowerLoss(t *testing.T) {
	t.Parallel()
	for name, c := range disks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; at < 30; at++ {
				synctest.Test(t, func(t *testing.T) {
					d := newDisk(rand.New(rand.NewPCG(uint64(at), 3)))
					d.space, d.files = c.space, c.files
					f := fillDisk(t, uint64(at), d, c.options)
					f.known.lossy = c.options.Sync != SyncCommit
					time.Sleep(time.Second)
					f.known.trimmed = time.Now()
					f.d.powerIn(at)
					_ = f.l.Trim(t.Context(), recordTime(math.MaxInt64)) // the power may be lost
					_ = f.known.append(t.Context(), f.l)
					_ = f.l.Close()
					f.d = f.d.afterPowerLoss()
					f.d.space, f.d.files = 0, 0
					f.open()
					f.works()
					require.NoError(t, f.l.Close())
					checkSound(t, f.d)
				})
			}
		})
	}
}

// TestOpenOnAFullDiskAndPowerLoss opens a closed log whose records have all expired, on a
// disk that is full, and loses the power at each change.
func TestOpenOnAFullDiskAndPowerLoss(t *testing.T) {
	t.Parallel()
	for at := 1; at < 25; at++ {
		synctest.Test(t, func(t *testing.T) {
			options, err := (&Options{SegmentBytes: 1 << 20, Retention: fullRetention}).withDefaults()
			require.NoError(t, err)
			d := newDisk(rand.New(rand.NewPCG(uint64(at), 3)))
			f := &fullDisk{t: t, d: d, options: options, known: newOracle(t, uint64(at))}
			f.open()
			f.works()
			require.NoError(t, f.l.Close())
			f.expired()
			for _, n := range d.names {
				d.space += len(n.data)
			}
			f.d.powerIn(at)
			if l, err := open(f.d, f.options); err == nil { // the power may be lost
				_ = f.known.append(f.t.Context(), l)
				_ = l.Close()
			}
			f.d = f.d.afterPowerLoss()
			f.d.space = 0
			f.open()
			f.works()
			require.NoError(t, f.l.Close())
			checkSound(t, f.d)
		})
	}
}

// A log that was trimmed completely continues after its Seqs, even if nothing at all can be
// written.
func TestSeqsOfARecycledSegment(t *testing.T) {
	t.Parallel()
	l, last := trimAll(t, nil, func(op, _ string) bool { return op == "write" })
	require.Equal(t, last.Seq, l.Stats().Floor)
	requireSeqsAfterTrim(t, l)
}

// Stored records are kept even if the log cannot be closed cleanly.
func TestCloseOnAFullDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(rand.New(rand.NewPCG(1, 1)))
	d.space = 4000
	f := fillDisk(t, 1, d, Options{SegmentBytes: 1 << 20})
	require.ErrorIs(t, f.l.Close(), syscall.ENOSPC)
	f.open()
	f.known.verify(f.l)
	require.ErrorIs(t, f.l.Append(t.Context(), "a", &eventlog.Record{Data: make([]byte, 4000)}, nil), ErrNotStored)
	f.d.resize(0)
	require.NoError(t, f.l.Append(t.Context(), strconv.Itoa(1), &eventlog.Record{}, nil))
	require.NoError(t, f.l.Close())
}
