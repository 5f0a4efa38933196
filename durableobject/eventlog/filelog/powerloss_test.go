package filelog

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPowerLoss loses the power at any operation, even during recovery, and checks each
// time that every guarantee holds.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options Options
		trims   bool
		faults  bool // some calls fail too
	}{
		"acknowledged means stored":       {options: Options{SegmentBytes: 1500}},
		"acknowledged, trimmed or stored": {options: Options{SegmentBytes: 600, cutBytes: 200}, trims: true},
		"one segment":                     {options: Options{}},
		"on a full disk":                  {options: Options{SegmentBytes: 900}, faults: true},
		"on a full disk, trimmed":         {options: Options{SegmentBytes: 300, cutBytes: 100}, trims: true, faults: true},
		"sync at intervals":               {options: Options{SegmentBytes: 1500, Sync: SyncInterval, SyncInterval: time.Microsecond}},
		"never sync":                      {options: Options{SegmentBytes: 1500, cutBytes: 500, Sync: SyncNever}, trims: true},
	}
	seeds, losses := uint64(5), 40
	if long() {
		seeds, losses = 15, 100 // 10,500 in all
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for seed := range seeds {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					t.Parallel()
					powerLosses(t, seed, losses, c.options, c.trims, c.faults)
				})
			}
		})
	}
}

func powerLosses(t *testing.T, seed uint64, losses int, o Options, trims, faults bool) {
	o.KeyWindow = time.Hour
	options, err := o.withDefaults()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(seed, 1))
	known := newOracle(t, seed)
	known.lossy, known.keyed = o.Sync != SyncCommit, true
	d := newDisk(rng)
	for range losses {
		l, err := open(d, options)
		require.NoError(t, err)
		require.NoError(t, l.Report().Err())
		known.verify(l)
		if rng.IntN(4) == 0 { // the log is closed cleanly
			require.NoError(t, known.append(t.Context(), l))
			require.NoError(t, l.Close())
			checkSound(t, d)
			l, err = open(d, options)
			require.NoError(t, err)
			require.True(t, l.Report().Clean)
			require.False(t, l.Report().NewEpoch)
			known.verify(l)
		}
		d.powerIn(1 + rng.IntN(60))
		if faults {
			d.arm(d.fullAtTimes)
		}
		known.work(l, trims)
		d.arm(nil)
		_ = l.Close() // the power is lost
		if rng.IntN(3) == 0 {
			d.revive() // only the process was killed
		} else {
			d = d.afterPowerLoss()
		}
		for rng.IntN(2) == 0 { // and again while the log recovers
			d.powerIn(1 + rng.IntN(12))
			if l, err := open(d, options); err == nil {
				_ = l.Close()
			}
			d = d.afterPowerLoss()
		}
	}
}

// fullAtTimes makes some of the calls fail that take space or remove a file.
func (d *disk) fullAtTimes(op, _ string) error {
	switch op {
	case "write", "create", "rename", "remove", "truncate":
		if d.rng.IntN(8) == 0 {
			return syscall.ENOSPC
		}
	}
	return nil
}

// powerIn makes the power fail during the nth op from now.
func (d *disk) powerIn(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerAt = d.ops + n
}

// revive lets calls succeed again, with everything that the system still had in memory.
func (d *disk) revive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.powerAt = false, 0
}

// checkSound checks that Check finds no damage.
func checkSound(t *testing.T, d *disk) {
	t.Helper()
	report, err := check(d)
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Zero(t, report.Cut)
	require.True(t, report.Clean)
}
