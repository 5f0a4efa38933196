package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/keytable"
)

// Default limits of a Memory.
const (
	DefaultMaxChannelBytes = 64 << 20
	DefaultMaxBytes        = 1 << 30
)

const (
	// replayBatch is how many records a replay takes from a Memory at a time.
	replayBatch = 64
	// expireBatch is how many expired records an append drops at most. An append adds
	// one record, so all expired records are dropped in the end.
	expireBatch = 64
	// trimBatch is how many records Trim drops before it releases the lock for others.
	trimBatch = 1024
)

// MemoryOptions configures a [Memory].
type MemoryOptions struct {
	// MaxChannelBytes limits the memory that the records of one channel take,
	// including overhead. Beyond it the oldest records of the channel are dropped. Zero
	// or less means DefaultMaxChannelBytes, 64 MiB.
	MaxChannelBytes int64

	// MaxBytes limits the memory that the log takes. Beyond it the oldest records of
	// all channels are dropped. Zero or less means DefaultMaxBytes, 1 GiB.
	MaxBytes int64

	// Retention is how long records are kept. Older ones are never replayed. Their
	// memory is freed by one of the next appends, by a replay of the channel or by
	// Trim. Ages are measured on the monotonic clock, so setting the time of the
	// machine does not change them. Zero or less means no limit.
	Retention time.Duration

	// KeyWindow is how long the Key of a record is remembered, see [Keyed]. Zero or less
	// means DefaultKeyWindow, 2 minutes. If it is longer than Retention, Retention is
	// used, unless that is not limited. A key is remembered even if its record is
	// dropped for lack of memory.
	KeyWindow time.Duration

	// MaxKeys is the maximum number of keys to remember; see ErrTooManyKeys. Their
	// memory is not part of MaxBytes. Zero or less means DefaultMaxKeys, which takes
	// about 100 MiB.
	MaxKeys int
}

// Memory is a [Log] in the memory of the process. It is the default log of a namespace. A
// Memory starts a new epoch when it is created, so that after a restart of the process
// replays from earlier positions are truncated.
//
// Beyond a limit the oldest records are dropped, and a record that is larger than a
// limit is refused with ErrTooLarge. Appending and dropping take amortized constant
// time; finding a position takes a binary search.
type Memory struct {
	maxChannelBytes int64
	maxBytes        int64
	retention       time.Duration
	keyWindow       time.Duration
	epoch           string
	start           time.Time // the zero of its monotonic clock

	// calls counts the running calls of Append and Head, for which Close waits. It
	// grows only under mu and while the log is open.
	calls sync.WaitGroup

	// mu is only held briefly, never while deliver or a reader runs. The order of a
	// channel is locked before it.
	//
	// While it is unlocked, the records of each channel, and all records together, are
	// in order of Seq and of Time, and history.last is the Seq of the newest record
	// that was ever appended.
	mu      sync.Mutex
	history history
	keys    *keytable.Table
	newest  time.Time // Time of the newest record, also if it was dropped
	closed  bool
}

// NewMemory returns an empty log. If o is nil, the defaults are used.
func NewMemory(o *MemoryOptions) *Memory {
	var options MemoryOptions
	if o != nil {
		options = *o
	}
	m := &Memory{
		maxChannelBytes: cmp.Or(max(options.MaxChannelBytes, 0), DefaultMaxChannelBytes),
		maxBytes:        cmp.Or(max(options.MaxBytes, 0), DefaultMaxBytes),
		retention:       cmp.Or(max(options.Retention, 0), math.MaxInt64),
		epoch:           NewEpoch(),
		start:           time.Now(),
		history:         history{channels: make(map[string]*channel)},
	}
	m.keyWindow = min(cmp.Or(max(options.KeyWindow, 0), DefaultKeyWindow), m.retention)
	m.keys = keytable.New(m.keyWindow, cmp.Or(max(options.MaxKeys, 0), DefaultMaxKeys))
	return m
}

var (
	_ Keyed  = (*Memory)(nil)
	_ Newest = (*Memory)(nil)
)

// Retention implements [Expiring].
func (m *Memory) Retention() time.Duration {
	if m.retention == math.MaxInt64 {
		return 0
	}
	return m.retention
}

// KeyWindow implements [Keyed].
func (m *Memory) KeyWindow() time.Duration { return m.keyWindow }

// Append implements [Log]. It does not copy r. Appends to the same channel wait for
// each other's deliver; appends to different channels do not.
func (m *Memory) Append(ctx context.Context, channel string, r *Record, deliver func(*Record)) error {
	size := recordSize(r)
	if size > m.maxChannelBytes || size+channelSize(channel) > m.maxBytes {
		return fmt.Errorf("eventlog: append: %w: %d bytes", ErrTooLarge, size)
	}
	if err := CheckKey(r.Key); err != nil {
		return fmt.Errorf("eventlog: append: %w", err)
	}
	c, err := m.pin(ctx, channel)
	if err != nil {
		return fmt.Errorf("eventlog: append: %w", err)
	}
	defer m.unpin(c)
	c.order.Lock()
	defer c.order.Unlock()
	repeated, err := m.store(ctx, c, r, size)
	if err != nil {
		return fmt.Errorf("eventlog: append: %w", err)
	}
	if !repeated {
		deliver(r)
	}
	return nil
}

// store adds r as the newest record and drops records that are then beyond a limit. If r
// is a repetition, store only sets its position to that of the first record.
func (m *Memory) store(ctx context.Context, c *channel, r *Record, size int64) (repeated bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return false, err
	}
	now := time.Now()
	if r.Key != "" {
		if repeated, err = m.identify(c, r, m.clock(now)); repeated || err != nil {
			return repeated, err
		}
	}
	if wall := now.Round(0); wall.After(m.newest) {
		m.newest = wall
	}
	h := &m.history
	r.Seq, r.Prev, r.Epoch, r.Time = h.last+1, c.last, m.epoch, m.newest
	h.add(&stored{Record: r, channel: c, at: m.clock(now), size: size})

	expiry := m.expiry(now)
	h.dropWhile(func(s *stored) bool { return s.at < expiry }, expireBatch)
	for c.bytes > m.maxChannelBytes {
		h.dropOldest(c)
	}
	for h.bytes > m.maxBytes && h.oldest != h.newest {
		h.dropOldest(h.oldest.channel)
	}
	return false, nil
}

// identify reports whether the key of r is known, and if so sets the position of r to that
// of the first record with it. Otherwise it remembers the key for r, which is to have the
// next Seq. The caller holds mu.
func (m *Memory) identify(c *channel, r *Record, now int64) (repeated bool, err error) {
	digest := keytable.DigestOf(c.name, r.Key)
	if first, ok := m.keys.Find(digest, now); ok {
		r.Seq, r.Epoch = first.Seq, m.epoch
		return true, nil
	}
	if m.keys.Expire(now); !m.keys.HasPlace(digest, 0, 0) {
		return false, ErrTooManyKeys
	}
	m.keys.Add(digest, keytable.Entry{Seq: m.history.last + 1, At: now})
	return false, nil
}

// After implements [Log]. Its replay reads a few records at a time.
func (m *Memory) After(ctx context.Context, channel string, p Position) (Replay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Replay{}, fmt.Errorf("eventlog: after: %w", err)
	}
	m.expire(channel)
	floor, newest := m.history.span(channel)
	read := memoryReplay{log: m, ctx: ctx, channel: channel, cursor: p.Seq, end: newest}
	known := p.Epoch == m.epoch && p.Seq <= m.history.last
	if !known || p.Seq < floor {
		read.cursor = floor
		return Replay{Truncated: !p.IsZero(), Records: read.records}, nil
	}
	return Replay{Records: read.records}, nil
}

// Newest implements [Newest]. Its replay reads a few records at a time.
func (m *Memory) Newest(ctx context.Context, channel string, p Position) (Replay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Replay{}, fmt.Errorf("eventlog: newest: %w", err)
	}
	known := p.IsZero() || p.Epoch == m.epoch && p.Seq <= m.history.last
	read := memoryReplay{log: m, ctx: ctx, channel: channel, cursor: math.MaxUint64, backwards: true}
	if known && !p.IsZero() {
		read.cursor = p.Seq
	}
	return Replay{Truncated: !known, Records: read.records}, nil
}

// Head implements [Log]. It waits for a running deliver of the channel.
func (m *Memory) Head(ctx context.Context, channel string) (Position, error) {
	c, err := m.pin(ctx, channel)
	if err != nil {
		return Position{}, fmt.Errorf("eventlog: head: %w", err)
	}
	defer m.unpin(c)
	c.order.Lock()
	defer c.order.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return Position{Epoch: m.epoch, Seq: m.history.last}, nil
}

// Trim implements [Log]. It also frees records that are older than the retention.
func (m *Memory) Trim(ctx context.Context, before time.Time) error {
	for {
		n, err := m.trimSome(ctx, before)
		if err != nil {
			return fmt.Errorf("eventlog: trim: %w", err)
		}
		if n < trimBatch {
			return nil
		}
	}
}

func (m *Memory) trimSome(ctx context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	now := time.Now()
	m.keys.Expire(m.clock(now))
	expiry, aged := m.expiry(now), m.clock(now)-int64(now.Sub(before))
	old := func(s *stored) bool {
		// The age of a record that was stored before the machine's clock was set back is
		// the time for which the log has been running since then.
		ahead := s.Time.After(now) && !before.After(now)
		return s.Time.Before(before) || ahead && s.at < aged || s.at < expiry
	}
	return m.history.dropWhile(old, trimBatch), nil
}

// Close implements [Log] and frees all records.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.calls.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history, m.keys = history{}, nil
	return nil
}

// pin begins a call that uses the order of the channel; unpin ends it.
func (m *Memory) pin(ctx context.Context, name string) (*channel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	m.calls.Add(1)
	return m.history.pin(name), nil
}

func (m *Memory) unpin(c *channel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history.unpin(c)
	m.calls.Done()
}

// usable returns an error if the log is closed or ctx has ended. The caller holds mu.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// clock returns now on the log's monotonic clock, in nanoseconds.
func (m *Memory) clock(now time.Time) int64 { return int64(now.Sub(m.start)) }

// expiry returns the time on the log's monotonic clock that is one retention before now.
// Records stored before it have expired.
func (m *Memory) expiry(now time.Time) int64 { return m.clock(now) - int64(m.retention) }

// expire drops the records of the channel that are older than the retention. The caller
// holds mu.
func (m *Memory) expire(name string) {
	c := m.history.channels[name]
	expiry := m.expiry(time.Now())
	for c != nil && c.records.len > 0 && c.records.at(0).at < expiry {
		m.history.dropOldest(c)
	}
}

// memoryReplay reads the records of a channel from a cursor to an end, or backwards from it to the
// oldest one.
type memoryReplay struct {
	log       *Memory
	ctx       context.Context
	channel   string
	cursor    uint64 // Seq of the last record that was yielded
	end       uint64 // Seq of the newest record when the replay was created
	backwards bool
}

// records implements [Replay.Records].
func (r *memoryReplay) records(yield func(*Record, error) bool) {
	var batch [replayBatch]*Record
	size := 1 // a subscription asks for the first record, to see what it has missed
	for r.backwards || r.cursor < r.end {
		n, err := r.next(batch[:size])
		if err != nil {
			yield(nil, fmt.Errorf("eventlog: replay: %w", err))
			return
		}
		if n == 0 {
			return
		}
		for _, record := range batch[:n] {
			r.cursor = record.Seq
			if !yield(record, nil) {
				return
			}
		}
		size = len(batch)
	}
}

// next fills batch with the records after the cursor and returns their number.
func (r *memoryReplay) next(batch []*Record) (n int, err error) {
	m := r.log
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(r.ctx); err != nil {
		return 0, err
	}
	m.expire(r.channel)
	c := m.history.channels[r.channel]
	switch {
	case r.backwards:
		return c.before(r.cursor, batch), nil
	case c == nil || r.cursor < c.floor:
		return 0, ErrTrimmed
	}
	from := c.records.search(func(s *stored) bool { return s.Seq > r.cursor })
	for n < len(batch) && from+n < c.records.len {
		batch[n] = c.records.at(from + n).Record
		n++
	}
	return n, nil
}
