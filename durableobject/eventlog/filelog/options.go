package filelog

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Errors that callers may test for with [errors.Is], in addition to those of package
// eventlog.
var (
	// ErrNotStored is returned by Append if a write failed and was undone, for example
	// on a full disk. The record is not stored and never will be; a later Append may
	// succeed.
	ErrNotStored = errors.New("not stored")
	// ErrGone is returned by Append and Trim, together with ErrNotStored, while the log's
	// directory or its newest file has been removed, renamed or replaced. Keep of the log's
	// bus returns it too, and a replay may end with it. When the directory is back, the log
	// works again.
	ErrGone = errors.New("directory is gone")
	// ErrBroken is returned by Append and Trim after a failure that the log cannot undo,
	// for example a failed fsync. Reads still work; another Open repairs the log.
	ErrBroken = errors.New("broken until opened again")
	// ErrDamaged is yielded by a replay that reads bytes which differ from what was
	// written. The error of [Report.Err] wraps it.
	ErrDamaged = errors.New("damaged")
	// ErrLocked is returned by Open and Check if the directory is in use by an open log.
	ErrLocked = errors.New("directory is in use")
)

// Sync selects when written records are synced to disk.
type Sync int

const (
	// SyncCommit syncs every commit before its records are delivered and
	// acknowledged: neither a crash nor a power loss loses an acknowledged record.
	SyncCommit Sync = iota
	// SyncInterval syncs at most Options.SyncInterval after a commit: a crash of the
	// process loses nothing, a power loss at most the records of that interval.
	SyncInterval
	// SyncNever syncs only full segments and on Close, and otherwise leaves it to the
	// operating system: a crash of the process loses nothing, a power loss may lose
	// the records of the newest segment.
	SyncNever
)

// Limits and defaults.
const (
	// MaxRecordBytes is the maximum size of a record on disk: its data, metadata,
	// audience and channel name, and about a hundred bytes more.
	MaxRecordBytes = 16 << 20
	// DefaultSegmentBytes is the size at which a segment is closed.
	DefaultSegmentBytes = 4 << 20
	// DefaultSyncInterval is the time between syncs under SyncInterval.
	DefaultSyncInterval = 100 * time.Millisecond

	maxSegmentBytes = 1 << 30
	// defaultCutBytes is how much of a dropped segment is freed at a time.
	defaultCutBytes = 1 << 20
)

// Options configures [Open]. The zero value and nil mean the defaults.
type Options struct {
	// Retention is how long records are kept. Older ones are never replayed, and
	// segments that have only older ones are removed, even if Trim is never called.
	// Zero keeps records until Trim, which a durableobject.Namespace calls only with
	// TrimLog.
	Retention time.Duration
	// Sync selects when written records are synced to disk. The default is SyncCommit.
	Sync Sync
	// SyncInterval is the time between syncs if Sync is SyncInterval, and otherwise
	// unused. Zero means DefaultSyncInterval, 100 ms.
	SyncInterval time.Duration
	// SegmentBytes is the size in bytes at which a segment is closed. Records are
	// removed only by whole segments. Zero means DefaultSegmentBytes, 4 MiB; the maximum
	// is 1 GiB.
	SegmentBytes int
	// KeyWindow is how long the key of a record is remembered, see [eventlog.Keyed]. It
	// must not be longer than Retention, unless that is zero. Zero means
	// eventlog.DefaultKeyWindow, 2 minutes, or Retention if that is shorter.
	KeyWindow time.Duration
	// MaxKeys is the maximum number of keys to remember; see
	// [eventlog.ErrTooManyKeys]. Each takes about 100 bytes of memory. Zero means
	// eventlog.DefaultMaxKeys, 2^20. The keys that Open finds are all remembered, even if
	// there are more.
	MaxKeys int
	// Logger receives the damage that Open finds, and errors that are returned to no
	// caller, for example that a segment cannot be removed. After Open its handler is
	// called on a separate goroutine, so it may block and may use the log. If it is nil,
	// nothing is logged.
	Logger *slog.Logger

	cutBytes int // defaultCutBytes, except in tests
}

func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	c := *o
	switch {
	case c.Retention < 0:
		return c, fmt.Errorf("filelog: open: negative Retention %v", c.Retention)
	case c.Sync < SyncCommit || c.Sync > SyncNever:
		return c, fmt.Errorf("filelog: open: unknown Sync %d", c.Sync)
	case c.SyncInterval < 0:
		return c, fmt.Errorf("filelog: open: negative SyncInterval %v", c.SyncInterval)
	case c.SegmentBytes < 0 || c.SegmentBytes > maxSegmentBytes:
		return c, fmt.Errorf("filelog: open: SegmentBytes %d is out of range", c.SegmentBytes)
	case c.KeyWindow < 0:
		return c, fmt.Errorf("filelog: open: negative KeyWindow %v", c.KeyWindow)
	case c.Retention > 0 && c.KeyWindow > c.Retention:
		return c, fmt.Errorf("filelog: open: KeyWindow %v is longer than Retention %v", c.KeyWindow, c.Retention)
	case c.MaxKeys < 0:
		return c, fmt.Errorf("filelog: open: negative MaxKeys %d", c.MaxKeys)
	}
	if c.KeyWindow == 0 {
		c.KeyWindow = min(eventlog.DefaultKeyWindow, cmp.Or(c.Retention, eventlog.DefaultKeyWindow))
	}
	c.MaxKeys = cmp.Or(c.MaxKeys, eventlog.DefaultMaxKeys)
	c.SyncInterval = cmp.Or(c.SyncInterval, DefaultSyncInterval)
	c.SegmentBytes = cmp.Or(c.SegmentBytes, DefaultSegmentBytes)
	c.cutBytes = cmp.Or(c.cutBytes, defaultCutBytes)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
