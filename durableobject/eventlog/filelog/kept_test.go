package filelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

func TestBus(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, dir string) *Log {
		t.Helper()
		l, err := Open(dir, nil)
		require.NoError(t, err)
		require.NoError(t, l.Report().Err())
		return l
	}
	eventlogtest.RunBus(t, eventlogtest.BusStore{
		Open: func(t *testing.T) eventlogtest.BusHandles {
			t.Helper()
			l := open(t, t.TempDir())
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			return eventlogtest.BusHandles{Handle: func(*testing.T) eventlog.Bus { return l.Bus() }}
		},
		OpenDir: func(t *testing.T, dir string) (eventlog.Bus, func()) {
			t.Helper()
			l := open(t, dir)
			return eventlog.BusOf(l), func() { require.NoError(t, l.Close()) }
		},
	})
}

// Whenever the power is lost, kept values stay and removed ones do not.
func TestKeptSurvivesPowerLoss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		disk := newDisk(rng)
		want := map[string]string{}     // acknowledged
		var unsure map[string][2]string // the value before and after a change that failed
		for range 3 {
			l, err := open(disk, mustDefaults(t))
			require.NoError(t, err)
			disk.powerAt = disk.ops + 1 + rng.IntN(40)
			for i := 0; ; i++ {
				key, value, ttl := fmt.Sprint(rng.IntN(5)), fmt.Sprint(i), time.Hour
				if rng.IntN(4) == 0 {
					value, ttl = "", 0
				}
				if err := l.Bus().Keep(t.Context(), key, []byte(value), ttl); err != nil {
					unsure = map[string][2]string{key: {want[key], value}}
					break
				}
				if want[key] = value; ttl == 0 {
					delete(want, key)
				}
				require.Less(t, i, 10_000)
			}
			_ = l.Close()
			disk = disk.afterPowerLoss()

			l, err = open(disk, mustDefaults(t))
			require.NoError(t, err)
			require.NoError(t, l.Report().Err(), "seed %d", seed)
			got := map[string]string{}
			kept, err := l.Bus().Kept(t.Context(), "")
			require.NoError(t, err)
			for key, value := range kept {
				got[key] = string(value)
			}
			for key, either := range unsure {
				require.Contains(t, either, got[key], "seed %d", seed)
				if want[key] = got[key]; want[key] == "" {
					delete(want, key)
				}
			}
			require.Equal(t, want, got, "seed %d", seed)
			require.NoError(t, l.Close())
		}
	}
}

func mustDefaults(t *testing.T) Options {
	t.Helper()
	o, err := (*Options)(nil).withDefaults()
	require.NoError(t, err)
	return o
}

// A change that fails does not affect other values, and the next one succeeds.
func TestKeepAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "sync", "create", "rename"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			disk, broken := newDisk(rand.New(rand.NewPCG(1, 1))), errors.New("broken")
			l, err := open(disk, mustDefaults(t))
			require.NoError(t, err)
			keep := func(key string) error { return l.Bus().Keep(t.Context(), key, []byte("v"), time.Hour) }
			require.NoError(t, keep("a"))
			disk.mu.Lock()
			disk.fail = func(failing, name string) error {
				if failing == op && (name == keptName || name == keptName+tempSuffix) {
					return broken
				}
				return nil
			}
			disk.mu.Unlock()
			first, second := keep("b"), keep("b")
			if op == "write" || op == "sync" {
				require.ErrorIs(t, first, broken)
				require.ErrorIs(t, second, broken)
			}
			disk.mu.Lock()
			disk.fail = nil
			disk.mu.Unlock()
			require.NoError(t, keep("c"))
			require.NoError(t, l.Close())
			l, err = open(disk, mustDefaults(t))
			require.NoError(t, err)
			kept, err := l.Bus().Kept(t.Context(), "")
			require.NoError(t, err)
			require.Contains(t, kept, "a")
			require.Contains(t, kept, "c")
			require.NoError(t, l.Close())
		})
	}
}

// A value that was damaged on the disk is reported, and does not affect others.
func TestKeptDamage(t *testing.T) {
	t.Parallel()
	disk := newDisk(rand.New(rand.NewPCG(1, 1)))
	l, err := open(disk, mustDefaults(t))
	require.NoError(t, err)
	for i := range 3 {
		require.NoError(t, l.Bus().Keep(t.Context(), fmt.Sprint(i), []byte("v"), time.Hour))
	}
	require.NoError(t, l.Close())
	disk.mu.Lock()
	n := disk.names[keptName]
	n.data[len(n.data)/2] ^= 1
	disk.mu.Unlock()
	report, err := check(disk)
	require.NoError(t, err)
	require.ErrorIs(t, report.Err(), ErrDamaged)
	l, err = open(disk, mustDefaults(t))
	require.NoError(t, err)
	require.ErrorIs(t, l.Report().Err(), ErrDamaged)
	require.False(t, l.Report().NewEpoch, "the records are not damaged")
	kept, err := l.Bus().Kept(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, kept, 2)
	require.NoError(t, l.Close())
}

// The file does not grow because of expired or replaced values.
func TestKeptFileIsWrittenAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk(rand.New(rand.NewPCG(1, 1)))
		l, err := open(disk, mustDefaults(t))
		require.NoError(t, err)
		for i := range 5000 {
			require.NoError(t, l.Bus().Keep(t.Context(), fmt.Sprint(i), []byte("v"), time.Second))
			time.Sleep(100 * time.Millisecond)
			if i%10 == 0 {
				_, err := l.Bus().Kept(t.Context(), "")
				require.NoError(t, err)
			}
		}
		require.Less(t, l.bus.kept.lines, 1100)
		require.NoError(t, l.Close())
	})
}

// Damage of any byte of the file is reported, even in the last line.
func TestKeptDamageAnywhere(t *testing.T) {
	t.Parallel()
	pristine := newDisk(rand.New(rand.NewPCG(1, 1)))
	l, err := open(pristine, mustDefaults(t))
	require.NoError(t, err)
	for i := range 3 {
		require.NoError(t, l.Bus().Keep(t.Context(), fmt.Sprint(i), []byte("v"), time.Hour))
	}
	require.NoError(t, l.Close())
	size := len(pristine.names[keptName].data)
	for at := range size {
		disk := pristine.clone()
		disk.names[keptName].data[at] ^= 1
		l, err := open(disk, mustDefaults(t))
		require.NoError(t, err)
		require.ErrorIs(t, l.Report().Err(), ErrDamaged, "byte %d of %d", at, size)
		kept, err := l.Bus().Kept(t.Context(), "")
		require.NoError(t, err)
		require.NotEmpty(t, kept, "byte %d", at)
		require.NoError(t, l.Bus().Keep(t.Context(), "new", []byte("v"), time.Hour)) // rewrites the file
		require.NoError(t, l.Close())
		report, err := check(disk)
		require.NoError(t, err)
		require.NoError(t, report.Err())
	}
}

// Expired values take no memory, no capacity and no bytes of the file, even if nothing
// reads them.
func TestKeptExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk(rand.New(rand.NewPCG(1, 1)))
		l, err := open(disk, mustDefaults(t))
		require.NoError(t, err)
		value := make([]byte, 1000)
		for i := range 3000 {
			require.NoError(t, l.Bus().Keep(t.Context(), fmt.Sprint(i), value, time.Millisecond))
			time.Sleep(time.Millisecond)
		}
		require.Less(t, len(l.bus.kept.all), 200)
		require.Less(t, l.bus.kept.bytes, 300_000)
		require.Less(t, len(disk.names[keptName].data), 3_000_000)
		require.NoError(t, l.Close())
	})
}

// The size of kept values is limited, and so is that of the file, however often a value
// changes.
func TestKeptBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk(rand.New(rand.NewPCG(1, 1)))
		l, err := open(disk, mustDefaults(t))
		require.NoError(t, err)
		value := make([]byte, eventlog.MaxBusBytes)
		keep := func(i int, ttl time.Duration) error { return l.Bus().Keep(t.Context(), fmt.Sprint(i), value, ttl) }
		for range 200 {
			require.NoError(t, keep(0, time.Minute))
		}
		require.Less(t, len(disk.names[keptName].data), 8<<20)
		l.bus.kept.bytes = maxKeptBytes - 2*(len(value)+keptOverhead)
		require.NoError(t, keep(1, time.Minute))
		require.ErrorIs(t, keep(2, time.Minute), eventlog.ErrBusFull)
		require.NoError(t, keep(1, time.Minute), "it is replaced")
		require.NoError(t, keep(1, 0), "it is removed")
		require.NoError(t, keep(2, time.Minute))
		require.ErrorIs(t, keep(1, time.Minute), eventlog.ErrBusFull)
		time.Sleep(time.Hour)
		require.NoError(t, keep(1, time.Minute))
		require.NoError(t, l.Close())
	})
}

// A disk that hangs blocks Keep until its context ends, and Close, but nothing else.
func TestKeepOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk(rand.New(rand.NewPCG(1, 1)))
		unblock := make(chan struct{})
		l, err := open(hangingDisk{disk, unblock}, mustDefaults(t))
		require.NoError(t, err)
		for _, key := range []string{"first", "second"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.ErrorIs(t, l.Bus().Keep(ctx, key, []byte("v"), time.Hour), context.DeadlineExceeded)
			cancel()
		}
		heard := make(chan struct{}, 1)
		stop, err := l.Bus().Listen(t.Context(), "t", func([]byte) { heard <- struct{}{} })
		require.NoError(t, err)
		require.NoError(t, l.Bus().Broadcast(t.Context(), "t", nil))
		<-heard
		stop()
		kept, err := l.Bus().Kept(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, kept, "nothing is on the disk")
		closed := make(chan error)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		close(unblock)
		require.NoError(t, <-closed)
		require.ErrorIs(t, l.Bus().Keep(t.Context(), "third", nil, time.Hour), eventlog.ErrClosed)
	})
}

// hangingDisk does not create the file of kept values until it is unblocked.
type hangingDisk struct {
	*disk
	unblock chan struct{}
}

func (d hangingDisk) Create(name string) (file, error) {
	if name == keptName+tempSuffix {
		<-d.unblock
	}
	return d.disk.Create(name)
}
