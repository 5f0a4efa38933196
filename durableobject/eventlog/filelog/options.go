package filelog

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Errors that a caller may branch on, beside those of package eventlog.
var (
	// ErrNotStored is returned by Append for a write that failed and was undone,
	// as on a full disk. The record is not stored and never will be; a later
	// Append may succeed.
	ErrNotStored = errors.New("filelog: not stored")
	// ErrGone is returned by Append and Trim, wrapped in ErrNotStored, while the log's
	// directory or its newest file is not where it was: it was removed, renamed or
	// replaced by another. Keep of the log's bus returns it too, and a replay may end
	// with it. The log goes on once it is back.
	ErrGone = errors.New("filelog: directory is gone")
	// ErrBroken is returned by Append and Trim after a failure that the log
	// cannot undo, for example a failed fsync. Reads go on; only another Open repairs it.
	ErrBroken = errors.New("filelog: broken until opened anew")
	// ErrDamaged is yielded by a replay that meets bytes which are not what was
	// written, and wrapped by Report.Err.
	ErrDamaged = errors.New("filelog: damaged")
	// ErrLocked is returned by Open and Check for a directory that an open log holds.
	ErrLocked = errors.New("filelog: directory is in use")
)

// Sync selects when what was written is forced to the disk.
type Sync int

const (
	// SyncCommit syncs every commit before its records are delivered and
	// acknowledged: neither a crash nor a power loss loses an acknowledged record.
	SyncCommit Sync = iota
	// SyncInterval syncs at most Options.SyncInterval after a commit: a crash of the
	// process loses nothing, a power loss at most the records of that time.
	SyncInterval
	// SyncNever leaves it to the operating system, but for a segment that is full
	// and for Close: a crash of the process loses nothing, a power loss may lose
	// what the newest segment holds.
	SyncNever
)

// Limits and defaults.
const (
	// MaxRecordBytes is how long a record may be on disk: its data, metadata,
	// audience and channel name, and about a hundred bytes of the log's own.
	MaxRecordBytes = 16 << 20
	// DefaultSegmentBytes is the size at which a segment is closed.
	DefaultSegmentBytes = 4 << 20
	// DefaultSyncInterval is the time between syncs under SyncInterval.
	DefaultSyncInterval = 100 * time.Millisecond

	maxSegmentBytes = 1 << 30
	// defaultCutBytes is how much of a dropped segment is freed at a time.
	defaultCutBytes = 1 << 20
)

// Options are the options of Open. The zero value and nil are the defaults.
type Options struct {
	// Retention is how long records are kept. Older ones are never replayed, and
	// the segments that hold nothing else are removed: the log trims itself, whether
	// or not Trim is called. Zero keeps records until Trim, which a
	// durableobject.Namespace calls only with TrimLog.
	Retention time.Duration
	// Sync selects when what was written is forced to the disk. The default is every commit.
	Sync Sync
	// SyncInterval is the time between syncs under SyncInterval; otherwise it is
	// not used. Zero is DefaultSyncInterval.
	SyncInterval time.Duration
	// SegmentBytes is the size at which a segment is closed; whole segments are
	// what is removed. Zero is DefaultSegmentBytes; at most 1 GiB.
	SegmentBytes int
	// KeyWindow is how long the key of a record is remembered, see eventlog.Keyed: at most
	// for Retention, unless that is zero. Zero is eventlog.DefaultKeyWindow, 2 min, or
	// Retention if that is shorter.
	KeyWindow time.Duration
	// MaxKeys is how many keys are remembered at most, in about 100 bytes of memory each;
	// see eventlog.ErrTooManyKeys. Zero is eventlog.DefaultMaxKeys, 2^20. The keys that an
	// Open finds are remembered even if they are more.
	MaxKeys int
	// Logger receives damage found by Open and errors that are returned to no caller,
	// such as that a segment cannot be removed. After Open its handler is called on a
	// goroutine of its own, so it may block and may use the log. Nil is no logging.
	Logger *slog.Logger

	cutBytes int // defaultCutBytes but in tests
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
