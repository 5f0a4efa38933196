package filelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func appendKey(t *testing.T, l *Log, key string) (*eventlog.Record, error) {
	t.Helper()
	r := &eventlog.Record{Key: key, Data: []byte("of " + key)}
	return r, l.Append(t.Context(), "room", r, func(*eventlog.Record) {})
}

func mustAppendKey(t *testing.T, l *Log, key string) eventlog.Position {
	t.Helper()
	r, err := appendKey(t, l, key)
	require.NoError(t, err)
	return r.Position()
}

// read returns the data of a channel's records.
func read(t *testing.T, l *Log, channel string) (data []string) {
	t.Helper()
	replay, err := l.After(t.Context(), channel, eventlog.Position{})
	require.NoError(t, err)
	for r, err := range replay.Records {
		require.NoError(t, err)
		data = append(data, string(r.Data))
	}
	return data
}

// A process is killed while a record with a key is being written, at each step of the
// write, and the publisher tries again in the next process.
func TestKeyIsStoredOnceOverACrash(t *testing.T) {
	t.Parallel()
	options, err := (&Options{SegmentBytes: 200}).withDefaults()
	require.NoError(t, err)
	for _, power := range []bool{false, true} {
		for step := 1; step <= 25; step++ {
			t.Run(fmt.Sprintf("step %d, power lost: %v", step, power), func(t *testing.T) {
				t.Parallel()
				d := newDisk(rand.New(rand.NewPCG(uint64(step), 5)))
				l, err := open(d, options)
				require.NoError(t, err)
				acked := map[string]eventlog.Position{"before": mustAppendKey(t, l, "before")}
				d.powerIn(step)
				for i := 0; ; i++ {
					key := fmt.Sprint("key ", i)
					r, err := appendKey(t, l, key)
					if err != nil {
						require.ErrorIs(t, err, errPower)
						break
					}
					acked[key] = r.Position()
				}
				_ = l.Close() // the process was killed
				if power {
					d = d.afterPowerLoss()
				} else {
					d.revive()
				}
				l, err = open(d, options)
				require.NoError(t, err)
				for range 2 {
					keys := append([]string{"before"}, keysUpTo(len(acked)-1)...)
					for _, key := range keys {
						p := mustAppendKey(t, l, key)
						if was, ok := acked[key]; ok {
							require.Equal(t, was, p, key)
						}
						acked[key] = p
					}
				}
				require.Len(t, read(t, l, "room"), len(acked))
				require.NoError(t, l.Close())
			})
		}
	}
}

// keysUpTo returns the keys "key 0" to "key n".
func keysUpTo(n int) (keys []string) {
	for i := range n + 1 {
		keys = append(keys, fmt.Sprint("key ", i))
	}
	return keys
}

// Appends with the same key that are written together have the same result.
func TestKeyTwiceInABatch(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]bool{"stored": false, "on a full disk": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options, err := (&Options{}).withDefaults()
			require.NoError(t, err)
			d := newDisk(rand.New(rand.NewPCG(1, 5)))
			l, err := open(d, options)
			require.NoError(t, err)
			entered, leave := make(chan struct{}), make(chan struct{})
			var once sync.Once
			d.arm(func(op, _ string) error {
				if fails && op == "write" && isClosed(leave) {
					return syscall.ENOSPC
				}
				return nil
			})
			var appends sync.WaitGroup
			appends.Go(func() { // the others wait meanwhile
				r := &eventlog.Record{}
				require.NoError(t, l.Append(t.Context(), "other", r, func(*eventlog.Record) {
					once.Do(func() { close(entered) })
					<-leave
				}))
			})
			<-entered
			var mu sync.Mutex
			var errs []error
			positions := map[eventlog.Position]bool{}
			for range 10 {
				appends.Go(func() {
					r, err := appendKey(t, l, "k")
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						errs = append(errs, err)
						return
					}
					positions[r.Position()] = true
				})
			}
			require.Eventually(t, func() bool {
				l.queue.mu.Lock()
				defer l.queue.mu.Unlock()
				return len(l.queue.appends) == 10
			}, time.Minute, time.Millisecond)
			close(leave)
			appends.Wait()
			if !fails {
				require.Empty(t, errs)
				require.Len(t, positions, 1)
				require.Equal(t, []string{"of k"}, read(t, l, "room"))
				require.NoError(t, l.Close())
				return
			}
			require.Len(t, errs, 10)
			for _, err := range errs {
				require.ErrorIs(t, err, ErrNotStored)
			}
			d.arm(nil)
			mustAppendKey(t, l, "k")
			require.Equal(t, []string{"of k"}, read(t, l, "room"))
			require.NoError(t, l.Close())
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// The limit counts the keys that Open finds and those in a batch.
func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		reopen := func(limit int) *Log {
			l, err := Open(dir, &Options{MaxKeys: limit})
			require.NoError(t, err)
			return l
		}
		l := reopen(5)
		first := mustAppendKey(t, l, "key 0")
		var appends sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for i := range 20 {
			appends.Go(func() {
				_, err := appendKey(t, l, fmt.Sprint("key ", i+1))
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, eventlog.ErrTooManyKeys) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		appends.Wait()
		require.Equal(t, 16, refused)
		require.Len(t, read(t, l, "room"), 5)
		require.Equal(t, 5, l.Stats().Keys)
		require.NoError(t, l.Close())

		l = reopen(2)
		require.Equal(t, 5, l.Stats().Keys, "no key is forgotten early")
		require.Equal(t, first, mustAppendKey(t, l, "key 0"))
		_, err := appendKey(t, l, "another")
		require.ErrorIs(t, err, eventlog.ErrTooManyKeys)
		time.Sleep(eventlog.DefaultKeyWindow + time.Second)
		mustAppendKey(t, l, "another")
		require.Equal(t, 1, l.Stats().Keys)
		time.Sleep(2 * eventlog.DefaultKeyWindow)
		require.NoError(t, l.Trim(t.Context(), time.Time{}))
		require.Zero(t, l.Stats().Keys, "the memory is freed")
		require.NoError(t, l.Close())
	})
}

// Open does not find keys that have expired while the log was closed.
func TestKeysExpireWhileClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := &Options{SegmentBytes: 1, KeyWindow: time.Minute, Retention: time.Hour}
		l, err := Open(dir, o)
		require.NoError(t, err)
		old := mustAppendKey(t, l, "old")
		time.Sleep(30 * time.Second)
		young := mustAppendKey(t, l, "young")
		require.NoError(t, l.Close())
		time.Sleep(31 * time.Second)
		l, err = Open(dir, o)
		require.NoError(t, err)
		require.Equal(t, 1, l.Stats().Keys)
		require.Equal(t, young, mustAppendKey(t, l, "young"))
		require.Greater(t, mustAppendKey(t, l, "old").Seq, old.Seq)
		require.NoError(t, l.Close())
	})
}

func TestKeyOptions(t *testing.T) {
	t.Parallel()
	bad := map[string]*Options{
		"negative KeyWindow -1ns":                      {KeyWindow: -1},
		"KeyWindow 2m0s is longer than Retention 1m0s": {KeyWindow: 2 * time.Minute, Retention: time.Minute},
		"negative MaxKeys -1":                          {MaxKeys: -1},
	}
	for want, o := range bad {
		_, err := Open(t.TempDir(), o)
		require.EqualError(t, err, "filelog: open: "+want)
	}
	windows := map[time.Duration]*Options{
		2 * time.Minute:  nil,
		time.Minute:      {Retention: time.Minute},
		30 * time.Minute: {Retention: time.Hour, KeyWindow: 30 * time.Minute},
		time.Hour:        {KeyWindow: time.Hour},
	}
	for want, o := range windows {
		l, err := Open(t.TempDir(), o)
		require.NoError(t, err)
		require.Equal(t, want, eventlog.KeyWindow(l))
		require.NoError(t, l.Close())
	}
}

// A directory that was written before records had keys can be opened, and then supports
// keys.
func TestDirectoryWithoutKeys(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"closed", "killed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/format1/"+name)))
			for range 2 {
				l, err := Open(dir, &Options{SegmentBytes: 4096})
				require.NoError(t, err)
				require.NoError(t, l.Report().Err())
				require.Equal(t, uint64(40), l.Report().Records)
				require.Zero(t, l.Report().Cut)
				require.Zero(t, l.Stats().Keys)
				checkOldRecords(t, l)
				require.NoError(t, l.Close())
			}
			l, err := Open(dir, nil)
			require.NoError(t, err)
			first := mustAppendKey(t, l, "k")
			require.NoError(t, l.Close())
			l, err = Open(dir, nil)
			require.NoError(t, err)
			require.Equal(t, first, mustAppendKey(t, l, "k"))
			require.Len(t, read(t, l, "room"), 21)
			require.NoError(t, l.Close())
		})
	}
}

// checkOldRecords checks the records in testdata/format1, which are numbered from 1 and
// alternate between two channels.
func checkOldRecords(t *testing.T, l *Log) {
	t.Helper()
	audiences := []eventlog.Audience{
		{},
		{Tags: []string{"admin", "staff"}},
		{Targets: []eventlog.Recipient{{Subject: "ann", ID: "1"}, {ID: "2"}}},
		{Excludes: []eventlog.Recipient{{Subject: "bob", ID: "3"}}},
		{Tags: []string{}, Targets: []eventlog.Recipient{}},
	}
	for c, channel := range []string{"room", "комната"} {
		replay, err := l.After(t.Context(), channel, eventlog.Position{})
		require.NoError(t, err)
		i := c
		if c == 0 {
			i = 2
		}
		for r, err := range replay.Records {
			require.NoError(t, err)
			require.Equal(t, uint64(i), r.Seq)
			require.Equal(t, fmt.Sprintf(`{"json":%d,"text":"%s"}`, i, strings.Repeat("x", 5*i)), string(r.Data))
			require.Equal(t, i%4 == 0, string(r.Meta) == `"retry":1000`)
			require.Equal(t, audiences[i%5], r.Audience)
			require.Empty(t, r.Key)
			i += 2
		}
		require.Equal(t, 42-c, i)
	}
}

// A publisher stops waiting while its event is being written. If it tries again meanwhile,
// the repetition waits for the result, and gets the id of the first or stores its own
// event.
func TestRepetitionWhileTheFirstIsWritten(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{"stored": nil, "not stored": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				options, err := (&Options{}).withDefaults()
				require.NoError(t, err)
				d := newDisk(rand.New(rand.NewPCG(1, 7)))
				l, err := open(d, options)
				require.NoError(t, err)
				mustAppendKey(t, l, "before")
				leave := make(chan struct{})
				var once sync.Once
				d.arm(func(op, _ string) (err error) {
					if op == "write" {
						once.Do(func() {
							<-leave
							err = fault
						})
					}
					return err
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				first := &eventlog.Record{Key: "k", Data: []byte("first")}
				require.ErrorIs(t, l.Append(ctx, "room", first, func(*eventlog.Record) {}), context.DeadlineExceeded)
				again := make(chan error, 1)
				go func() {
					_, err := appendKey(t, l, "k")
					again <- err
				}()
				synctest.Wait()
				require.Empty(t, again, "the outcome is not known yet")
				close(leave)
				require.NoError(t, <-again)
				want := []string{"of before", "first"}
				if fault != nil {
					want[1] = "of k"
				}
				require.Equal(t, want, read(t, l, "room"))
				require.NoError(t, l.Close())
			})
		})
	}
}
