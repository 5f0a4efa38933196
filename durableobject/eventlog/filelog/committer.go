package filelog

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// committer is the state of the goroutine that writes, and is used only by it.
type committer struct {
	active *active // nil if the next segment could not be created yet
	work   work
	buffer []byte
	staged []staged
	// fresh has the new channels of the batch. They are added to the index when the
	// batch is stored.
	fresh map[string]*channel
	// stamped is the time of the newest batch.
	stamped instant
	// checked is when the directory was last found to exist.
	checked time.Time
	// unmarked is set while the checkpoint on disk is that of the previous process, for
	// example after an Open on a full disk. It is replaced before anything is written.
	unmarked  bool
	syncTimer *time.Timer // under SyncInterval, runs while records are not synced
	keys      keys
	unlinker
}

// staged is a record of the batch being written.
type staged struct {
	*request
	to    *channel
	stamp stamp
	ref   ref
}

// run is the committer goroutine. It returns when the queue is closed and all requests in
// it have been answered.
func (l *Log) run() {
	defer close(l.done)
	var expire <-chan time.Time
	if l.options.Retention > 0 {
		ticker := time.NewTicker(max(l.options.Retention/8, time.Millisecond))
		defer ticker.Stop()
		expire = ticker.C
		l.expire() // in a process that is often restarted the ticker may never fire
		l.unlink()
	}
	l.c.syncTimer = time.NewTimer(time.Hour)
	l.c.syncTimer.Stop()
	defer l.c.syncTimer.Stop()

	w := &l.c.work
	for {
		if !w.more {
			if w.closed && !l.c.unlinking {
				l.closeErr = errors.Join(l.finish(), l.bus.close(), l.lock.Close())
				return
			}
			select {
			case <-l.queue.wake:
			case <-expire:
				l.expire()
			case <-l.c.syncTimer.C:
				l.syncActive()
			case done := <-l.c.swept:
				l.endSweep(done)
			}
		}
		// Publishers that the last commit woke soon publish again. Letting them run
		// first doubles the number of records in a commit.
		runtime.Gosched()
		l.queue.take(w)
		l.commit(w.appends)
		l.trim(w.trims)
		l.unlink()
	}
}

// commit stores a batch and answers each of its requests.
func (l *Log) commit(taken []*request) {
	batch := l.identify(taken)
	if len(batch) == 0 {
		return
	}
	err := l.store(batch)
	if errors.Is(err, ErrNotStored) && l.reclaim() {
		l.unstage()
		err = l.store(batch)
	}
	if err == nil {
		l.publish()
		for i := range l.c.staged {
			l.deliver(&l.c.staged[i])
		}
		l.settle()
	}
	l.unstage()
	l.remember(batch, err)
	for _, r := range batch {
		r.done <- err
	}
	clear(taken)
}

// deliver delivers a stored record. It recovers from a panic, which would end the process
// because it is on the goroutine of the committer.
func (l *Log) deliver(s *staged) {
	defer func() {
		if v := recover(); v != nil {
			l.options.Logger.Error("event log: a deliver panicked", "channel", s.channel, "panic", asynclog.PanicText(v), "stack", string(debug.Stack()))
		}
	}()
	if s.request.deliver != nil {
		s.request.deliver(s.record)
	}
}

// unstage discards the state of a batch, whether it was published or not.
func (l *Log) unstage() {
	for _, s := range l.c.staged {
		s.to.staged = s.to.last
	}
	clear(l.c.fresh)
	clear(l.c.staged)
	l.c.staged = l.c.staged[:0]
}

// store writes a batch after the records of the active segment. If it fails, no record of
// the batch is stored.
func (l *Log) store(batch []*request) error {
	now := l.instant()
	if l.options.Sync == SyncCommit || now.at.Sub(l.c.checked) >= checkEvery {
		if err := l.writable(); err != nil {
			return err
		}
		l.c.checked = now.at
	} else if err := l.broken(); err != nil {
		return err
	}
	if err := l.mark(); err != nil {
		return err
	}
	size := 0
	for _, r := range batch {
		size += r.size
	}
	l.c.stamped = now
	if err := l.makeRoom(size, now.log); err != nil {
		return err
	}
	a := l.c.active
	l.stage(batch, now.log)
	if _, err := a.file.WriteAt(l.c.buffer, a.dataEnd); err != nil {
		return l.undo(err)
	}
	if l.options.Sync == SyncCommit {
		if err := l.sync(a.file); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom ensures that there is an active segment with capacity for size bytes.
func (l *Log) makeRoom(size int, now int64) error {
	a := l.c.active
	if a != nil {
		if err := l.mend(a); err != nil {
			return err
		}
	}
	full := a != nil && a.count > 0 && (a.dataEnd+int64(size) > int64(l.options.SegmentBytes) ||
		l.options.Retention > 0 && now-a.firstTime >= int64(l.options.Retention/8))
	if full {
		if err := l.seal(); err != nil {
			return err
		}
	}
	return l.ensureActive()
}

// ensureActive creates the next segment if there is no active one.
func (l *Log) ensureActive() error {
	if l.c.active != nil {
		return nil
	}
	a, uncertain, err := createActive(l.dir, l.salt, l.seed, l.next(), len(l.index.sealed) == 0)
	switch {
	case uncertain:
		return l.breakDown(err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	l.mu.Lock()
	l.c.active, l.live = a, a.segment
	l.mu.Unlock()
	return nil
}

// stage assigns each record its stamp and appends its bytes to the buffer.
func (l *Log) stage(batch []*request, now int64) {
	c, a, next, epoch := &l.c, l.c.active, l.next(), l.epochs.current().id
	if cap(c.buffer) > 2*batchBytes {
		c.buffer = nil // it has grown for a large record
	}
	c.buffer = c.buffer[:0]
	for _, r := range batch {
		to := l.index.channels[r.channel]
		if to == nil {
			to = c.newcomer(r.channel, l.index.floor)
		}
		s := staged{request: r, to: to, ref: ref{
			seq: uint32(next - a.base), off: uint32(a.dataEnd) + uint32(len(c.buffer)),
		}}
		s.stamp = stamp{epoch: epoch, seq: next, prev: to.staged, time: now, durable: l.durable}
		c.buffer = appendRecord(c.buffer, l.seed, s.stamp, r.channel, r.record)
		to.staged = next
		next++
		c.staged = append(c.staged, s)
	}
}

// newcomer returns a new channel that is not in the index. It may be one that the log has
// forgotten; all records of it that were dropped are at or before floor.
func (c *committer) newcomer(name string, floor uint64) *channel {
	to := c.fresh[name]
	if to == nil {
		to = &channel{name: name, last: floor, floor: floor, staged: floor}
		c.fresh[name] = to
	}
	return to
}

// publish makes the batch visible to readers.
func (l *Log) publish() {
	a, c := l.c.active, &l.c
	text := l.epochs.current().text
	for i := range c.staged {
		s := &c.staged[i]
		r := s.record
		r.Seq, r.Prev, r.Epoch, r.Time = s.stamp.seq, s.stamp.prev, text, recordTime(s.stamp.time)
	}
	first, last := c.staged[0].stamp, c.staged[len(c.staged)-1].stamp
	a.sum = update(a.sum, c.buffer)

	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.staged {
		s := &c.staged[i]
		if len(s.to.live) == 0 {
			l.index.channels[s.to.name] = s.to
			a.channels = append(a.channels, s.to)
		}
		s.to.live = append(s.to.live, s.ref)
		s.to.last = s.stamp.seq
	}
	if a.count == 0 {
		a.firstTime = first.time
	}
	a.count += uint64(len(c.staged))
	a.last, a.lastTime = last.seq, last.time
	a.dataEnd += int64(len(c.buffer))
	a.size = a.dataEnd
	l.head, l.time, l.timeAt = last.seq, last.time, c.stamped.at
	l.stats.Keys = c.keys.Len() + len(c.keys.staged)
	l.stats.Commits++
	l.stats.Appends += uint64(len(c.staged))
	if l.options.Sync == SyncCommit {
		l.durable = last.seq
	} else if l.options.Sync == SyncInterval && !l.unsynced {
		l.unsynced = true
		c.syncTimer.Reset(l.options.SyncInterval)
	}
}

// settle marks all records as delivered, so that Head may return the newest of them.
func (l *Log) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered = l.head
	if l.settled != nil {
		close(l.settled)
		l.settled = nil
	}
}

// undo removes what a failed write has written, before anything else takes its place.
func (l *Log) undo(cause error) error {
	a := l.c.active
	a.torn = true
	if err := l.mend(a); a.torn && l.broken() == nil { // a crash may leave what was written
		return fmt.Errorf("%w: %w", eventlog.ErrUncertain, cause)
	} else if err != nil {
		return errors.Join(err, cause)
	}
	return fmt.Errorf("%w: %w", ErrNotStored, cause)
}

// mend truncates the active segment after a failed write, if need be.
func (l *Log) mend(a *active) error {
	if !a.torn {
		return nil
	}
	if err := a.file.Truncate(a.dataEnd); isFull(err) {
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	} else if err != nil {
		return l.breakDown(err)
	}
	if err := a.file.Sync(); err != nil {
		return l.breakDown(err)
	}
	a.torn = false
	return nil
}

// mark replaces the checkpoint of the previous process if Open could not.
func (l *Log) mark() error {
	if !l.c.unmarked {
		return nil
	}
	if err := l.checkpoint(false).write(l.dir); err != nil {
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	l.c.unmarked = false
	return nil
}

// sync makes the file durable. If it fails, the content of the disk is unknown, so no
// more records can be written.
func (l *Log) sync(f file) error {
	if err := f.Sync(); err != nil {
		return l.breakDown(err)
	}
	l.mu.Lock()
	l.stats.Syncs++
	l.mu.Unlock()
	return nil
}

// syncActive makes all records durable.
func (l *Log) syncActive() {
	if l.c.active == nil || l.broken() != nil {
		return
	}
	if err := l.sync(l.c.active.file); err != nil {
		l.options.Logger.Error("event log: sync failed", "err", err)
		return
	}
	l.mu.Lock()
	l.durable, l.unsynced = l.head, false
	l.mu.Unlock()
}

// breakDown makes all later writes fail and returns the error for the current one.
func (l *Log) breakDown(cause error) error {
	l.mu.Lock()
	l.failure = cause
	l.mu.Unlock()
	l.options.Logger.Error("event log: broken", "err", cause)
	return fmt.Errorf("%w: %w", eventlog.ErrUncertain, cause)
}

// checkEvery is how often commits that do not sync check that the directory still exists,
// which takes as long as writing a record.
const checkEvery = 10 * time.Millisecond

// writable returns an error if nothing can be written.
func (l *Log) writable() error {
	if err := l.broken(); err != nil {
		return err
	}
	held := l.lock
	if a := l.c.active; a != nil {
		held = a.file
	}
	if !l.dir.Holds(held) {
		return fmt.Errorf("%w: %w", ErrNotStored, ErrGone)
	}
	return nil
}

// broken returns the error of breakDown, or nil if it was not called.
func (l *Log) broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBroken, l.failure)
}

// next returns the Seq of the next record.
func (l *Log) next() uint64 { return l.head + 1 }
