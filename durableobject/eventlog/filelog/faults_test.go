package filelog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// TestFaults makes each call to the file system fail in turn, once or until space is freed,
// and checks that the log reports it, loses nothing and continues.
func TestFaults(t *testing.T) {
	t.Parallel()
	causes := map[string]error{
		"disk full": syscall.ENOSPC, "input/output error": syscall.EIO,
		"too many open files": fmt.Errorf("%w: %w", errNotTried, syscall.EMFILE),
	}
	for _, op := range []string{"create", "write", "truncate", "sync", "syncdir", "rename", "remove", "open", "read", "close"} {
		for name, cause := range causes {
			if op == "sync" && errors.Is(cause, errNotTried) {
				continue // the file is open
			}
			for _, lasting := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, lasting %v", op, name, lasting), func(t *testing.T) {
					t.Parallel()
					for nth := 1; nth <= 12; nth++ {
						fault(t, op, nth, cause, lasting)
					}
				})
			}
		}
	}
}

// fault uses a log in which the nth call of op fails, and perhaps all later ones.
func fault(t *testing.T, op string, nth int, cause error, lasting bool) {
	options, err := (&Options{SegmentBytes: 400, cutBytes: 150}).withDefaults()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(uint64(nth), 2))
	d, known := newDisk(rng), newOracle(t, uint64(rng.Int64()))
	known.keyed = nth%2 == 0
	l, err := open(d, options)
	require.NoError(t, err)
	require.NoError(t, known.append(t.Context(), l))

	calls, failed := 0, 0
	d.arm(func(o, _ string) error {
		if o == op {
			calls++
		}
		if o != op || calls < nth || calls > nth && !lasting {
			return nil
		}
		failed++
		return cause
	})
	uncertain := 0
	for i := range 40 {
		switch err := known.append(t.Context(), l); {
		case err == nil:
		case errors.Is(err, eventlog.ErrUncertain):
			require.ErrorIs(t, err, cause)
			uncertain++
		case uncertain > 0:
			require.ErrorIs(t, err, ErrBroken)
		default:
			require.ErrorIs(t, err, ErrNotStored)
			require.ErrorIs(t, err, cause)
		}
		if i == 20 {
			known.trim(l)
		}
		if op != "open" && op != "read" {
			known.verify(l) // reads still work
		}
	}
	require.LessOrEqual(t, uncertain, 1)
	if errors.Is(cause, errNotTried) && op != "truncate" {
		require.Zero(t, uncertain)
	}
	require.Equal(t, uncertain > 0, l.Stats().Failure != nil)
	d.arm(nil)
	known.keyed = false // a repetition succeeds even if nothing can be written
	err = known.append(t.Context(), l)
	if uncertain > 0 {
		require.ErrorIs(t, err, ErrBroken)
		require.ErrorIs(t, l.Close(), ErrBroken)
	} else {
		require.NoError(t, err, "the log must work again when there is space")
		require.NoError(t, l.Close())
		checkSound(t, d)
	}
	if rng.IntN(2) == 0 {
		d = d.afterPowerLoss()
	}
	l, err = open(d, options)
	require.NoError(t, err)
	require.NoError(t, l.Report().Err())
	known.verify(l)
	require.NoError(t, l.Close())
	checkSound(t, d.afterPowerLoss())
}

// arm sets fail for all calls from now on.
func (d *disk) arm(fail func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// TestFaultsInOpen makes each call fail in turn while a log is opened after a crash: Open
// must return an error without doing harm, or succeed without that call.
func TestFaultsInOpen(t *testing.T) {
	t.Parallel()
	options, err := (&Options{SegmentBytes: 400}).withDefaults()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(3, 3))
	d, known := newDisk(rng), newOracle(t, uint64(rng.Int64()))
	l, err := open(d, options)
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, known.append(t.Context(), l))
	}
	d.powerIn(1)
	require.Error(t, known.append(t.Context(), l))
	_ = l.Close() // the power is lost
	d = d.afterPowerLoss()

	for nth, opened := 1, false; !opened; nth++ {
		d := d.clone()
		calls := 0
		d.arm(func(string, string) error {
			if calls++; calls == nth {
				return syscall.EIO
			}
			return nil
		})
		l, err := open(d, options)
		opened = calls < nth
		d.arm(nil)
		if err != nil {
			require.ErrorIs(t, err, syscall.EIO)
			l, err = open(d, options)
			require.NoError(t, err, "Open must release everything when it fails")
		}
		known.verify(l)
		require.NoError(t, l.Close())
	}
}

// A log that has lost all of its records to a trim continues after their Seqs, even if the
// checkpoint could not be written.
func TestTrimmedSeqs(t *testing.T) {
	t.Parallel()
	full := func(op, name string) bool { return op == "create" && name == checkpointName+tempSuffix }
	l, _ := trimAll(t, &Options{SegmentBytes: 400}, full)
	require.Equal(t, 1, l.Stats().Segments)
	requireSeqsAfterTrim(t, l)
}

// trimAll returns a log whose records were all trimmed, and the newest of them. From the
// trim on the disk is full for the operations that full selects.
func trimAll(t *testing.T, o *Options, full func(op, name string) bool) (l *Log, last *eventlog.Record) {
	t.Helper()
	options, err := o.withDefaults()
	require.NoError(t, err)
	d := newDisk(rand.New(rand.NewPCG(7, 7)))
	l, err = open(d, options)
	require.NoError(t, err)
	for range 20 {
		last = &eventlog.Record{}
		require.NoError(t, l.Append(t.Context(), "a", last, nil))
	}
	d.arm(func(op, name string) error {
		if full(op, name) {
			return syscall.ENOSPC
		}
		return nil
	})
	require.NoError(t, l.Trim(t.Context(), last.Time.Add(time.Hour)))
	return l, last
}

// requireSeqsAfterTrim kills the process of a log after trimAll, and requires that the log
// continues with the next Seq when it is opened again.
func requireSeqsAfterTrim(t *testing.T, l *Log) {
	t.Helper()
	last, options := l.Stats().Head, l.options
	killed := l.dir.(*disk).clone()
	require.Error(t, l.Close())

	l, err := open(killed, options)
	require.NoError(t, err)
	require.NoError(t, l.Report().Err())
	next := &eventlog.Record{}
	require.NoError(t, l.Append(t.Context(), "a", next, nil))
	require.Equal(t, last+1, next.Seq)
	require.NoError(t, l.Close())
}

// Old records can be removed without free space.
func TestTrimOnFullDisk(t *testing.T) {
	t.Parallel()
	options, err := (&Options{SegmentBytes: 400, cutBytes: 150}).withDefaults()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(4, 4))
	d, known := newDisk(rng), newOracle(t, uint64(rng.Int64()))
	l, err := open(d, options)
	require.NoError(t, err)
	var last time.Time
	for range 50 {
		r := &eventlog.Record{Data: []byte("to be dropped")}
		require.NoError(t, l.Append(t.Context(), "other", r, nil))
		last = r.Time
	}
	require.NoError(t, known.append(t.Context(), l))
	segments := l.Stats().Segments
	d.arm(func(op, _ string) error {
		if op == "write" || op == "create" {
			return syscall.ENOSPC
		}
		return nil
	})
	require.NoError(t, l.Trim(t.Context(), last))
	require.Less(t, l.Stats().Segments, segments/2)
	d.arm(nil)
	require.NoError(t, known.append(t.Context(), l))
	known.verify(l)
	require.NoError(t, l.Close())
}
