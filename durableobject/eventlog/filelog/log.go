package filelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/keytable"
)

// Log is an [eventlog.Log] in a directory. It is safe for concurrent use.
type Log struct {
	dir     directory
	options Options
	salt    uint64
	seed    uint32
	report  Report
	lock    io.Closer
	bus     *bus

	queue    queue
	done     chan struct{} // closed when the committer has ended
	closeErr error         // set before done is closed
	// dropped is a copy of index.floor that replays read without mu, and found the Seq of the
	// newest record that a replay could not read.
	dropped, found atomic.Uint64
	c              committer

	// mu guards the fields below. Except for settled, only the committer changes them,
	// so the committer may read them without mu. It is never held during I/O or deliver.
	//
	// durable and delivered are never after head. Every record up to head, and none
	// after it, is in the index, completely written and, under SyncCommit, durable.
	// Records are in order of both Seq and time.
	mu        sync.Mutex
	index     index
	live      *segment // the active segment, nil if there is none
	epochs    epochs
	head      uint64        // Seq of the newest record that may be read
	durable   uint64        // Seq of the newest record that is known to be on disk
	delivered uint64        // Seq of the newest record that was passed to its deliver
	settled   chan struct{} // closed when delivered reaches head; nil if no call waits for that
	time      int64         // the log's clock at timeAt, when the newest record was written or the log opened
	timeAt    time.Time
	trimmed   int64 // records before this time are not replayed
	unsynced  bool  // the sync timer is running
	failure   error // why nothing more can be written
	stats     Stats
}

var _ eventlog.Keyed = (*Log)(nil)

// Open opens the log in the directory at path, and creates both if they do not exist. If o
// is nil, the defaults are used. The directory is locked until Close; if it is already
// locked, Open returns ErrLocked.
//
// Open verifies every byte of the log. It removes the rest of a write that a crash has
// interrupted, keeps damaged files under another name, and repairs the log: see
// [Log.Report].
func Open(path string, o *Options) (*Log, error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := makeDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("filelog: open: %w", err)
	}
	return open(dir, options)
}

func open(dir directory, options Options) (*Log, error) {
	lock, err := dir.Lock(false)
	if err != nil {
		return nil, fmt.Errorf("filelog: open: %w", err)
	}
	l := &Log{
		dir: dir, options: options, lock: lock,
		queue: queue{wake: make(chan struct{}, 1)},
		done:  make(chan struct{}),
		c:     committer{fresh: map[string]*channel{}, unlinker: unlinker{swept: make(chan func(), 1)}},
	}
	l.c.keys = keys{
		Table:    keytable.New(options.KeyWindow, options.MaxKeys),
		staged:   map[keytable.Digest]*request{},
		stagedOf: map[keytable.Channel]int{},
	}
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("filelog: open: %w", errors.Join(err, lock.Close()))
	}
	kept, damage, err := readKept(dir, lock)
	if err != nil {
		return nil, fmt.Errorf("filelog: open: %w", errors.Join(err, lock.Close()))
	}
	if l.report.Damage = append(l.report.Damage, damage...); len(damage) > 0 {
		l.options.Logger.Error("event log: damage found", "err", Report{Damage: damage}.Err())
	}
	// From now on the committer logs, and a handler may wait for an Append.
	l.options.Logger, _ = asynclog.New(l.options.Logger)
	l.bus = newBus(kept, l.options.Logger)
	go l.run()
	return l, nil
}

// Report returns what Open found.
func (l *Log) Report() Report { return l.report }

// Append implements [eventlog.Log]. It may return ErrTooLarge, ErrKey, ErrTooManyKeys,
// ErrClosed and ErrUncertain of package eventlog, and ErrNotStored, ErrGone and ErrBroken of
// this package.
func (l *Log) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	err := ctx.Err()
	size := recordSize(channel, r)
	if err == nil && size > MaxRecordBytes {
		err = eventlog.ErrTooLarge
	}
	if err == nil {
		err = eventlog.CheckKey(r.Key)
	}
	if err != nil {
		return fmt.Errorf("filelog: append: %w", err)
	}
	q := l.queue.request()
	q.channel, q.record, q.deliver, q.size = channel, r, deliver, size
	if r.Key != "" {
		q.key = keytable.DigestOf(channel, r.Key)
	}
	over := true
	if l.queue.append(q) {
		over, err = q.wait(ctx)
	} else {
		err = eventlog.ErrClosed
	}
	if over {
		q.record, q.deliver = nil, nil
		l.queue.spare.Put(q)
	}
	if err != nil {
		return fmt.Errorf("filelog: append: %w", err)
	}
	return nil
}

// Retention implements eventlog.Expiring.
func (l *Log) Retention() time.Duration { return l.options.Retention }

// KeyWindow implements eventlog.Keyed.
func (l *Log) KeyWindow() time.Duration { return l.options.KeyWindow }

// Head implements [eventlog.Log]. It waits while a batch is being delivered, so deliver
// must neither call it nor wait for a lock that is held during a call of Head.
func (l *Log) Head(ctx context.Context, _ string) (eventlog.Position, error) {
	for {
		p, settled, err := l.position()
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && settled != nil {
			select {
			case <-settled:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil {
			return eventlog.Position{}, fmt.Errorf("filelog: head: %w", err)
		}
		return p, nil
	}
}

// position returns the head or, while it has not been delivered, a channel to wait for.
func (l *Log) position() (p eventlog.Position, settled <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.queue.closed.Load():
		return p, nil, eventlog.ErrClosed
	case l.delivered == l.head:
		return eventlog.Position{Epoch: l.epochs.current().text, Seq: l.head}, nil, nil
	case l.settled == nil:
		l.settled = make(chan struct{})
	}
	return p, l.settled, nil
}

// Close implements [eventlog.Log]. It stores the appends that wait, seals and syncs the
// active segment, and unlocks the directory. On a full disk it returns an error although all
// acknowledged records are stored.
func (l *Log) Close() error {
	first := l.queue.close()
	<-l.done
	if first && l.closeErr != nil {
		return fmt.Errorf("filelog: close: %w", l.closeErr)
	}
	return nil
}

// Stats describes the state of a log.
type Stats struct {
	// Head is the Seq of the newest record, Floor that of the last dropped.
	Head, Floor uint64
	// Segments and Bytes are the number of segments and their size on disk. Channels is
	// the number of channels that the log remembers.
	Segments, Channels int
	Bytes              int64
	// Appends, Commits and Syncs are the numbers of these since Open.
	Appends, Commits, Syncs uint64
	// Keys is the number of keys in memory, which take about 100 bytes each.
	Keys int
	// Failure is the reason that nothing more can be written, or nil.
	Failure error
}

// Stats returns the state of the log. It may be called after Close.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Head, s.Floor = l.head, l.index.floor
	s.Channels, s.Segments = len(l.index.channels), len(l.index.sealed)
	for _, seg := range l.index.sealed {
		s.Bytes += seg.size
	}
	if l.live != nil {
		s.Segments++
		s.Bytes += l.live.size
	}
	s.Failure = l.failure
	return s
}

// instant is a time on the log's clock and on the machine's, in nanoseconds since 1970.
type instant struct {
	log int64
	at  time.Time
}

// instant returns the current time. The log's clock is the machine's clock, but it never
// goes back and never stops: when the machine's clock is set back, and when Open finds that
// the newest record is in the future, it continues with the monotonic clock, so that records
// age. It is then ahead of the machine's clock until that catches up.
func (l *Log) instant() instant {
	at := time.Now()
	passed := max(int64(at.Sub(l.timeAt)), 0)
	clock := l.time + min(passed, math.MaxInt64-l.time)
	return instant{log: max(clock, nanoseconds(at)), at: at}
}

// now returns the time of the log's clock, which is at or after that of every record.
func (l *Log) now() int64 { return l.instant().log }
