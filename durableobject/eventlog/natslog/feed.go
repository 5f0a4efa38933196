package natslog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// feed is the state of a channel that is followed, or appended to with a deliver. The server
// republishes each message with the Seq of the previous message of the same subject. As long
// as that is the last message that the feed has taken, none is missing.
type feed struct {
	log          *Log
	stored, live string // subjects
	epoch        string
	users        int // Log.mu guards it
	opened       chan struct{}
	err          error // why it could not be opened, set before opened is closed
	sub          *nats.Subscription

	// mu is held while the follower, or a deliver, is called.
	mu       sync.Mutex
	ended    bool
	follower eventlog.Follower
	last     anchor // the newest message that was taken; without an id it is a lower limit of that
	good     uint64 // Seq of the newest message that was a valid record
	upTo     uint64 // there are no messages between last and this Seq
	acked    uint64 // Seq of the newest message stored through this handle
	doubtful bool   // the stream may have lost last since it was taken
	reading  bool   // the stream is being read up to target; republished messages wait
	target   uint64
	backlog  []message
	waiting  map[string]*waiter // by message id

	tail tail // Log.cache guards it
}

// waiter is an append that waits for its record.
type waiter struct {
	record  *eventlog.Record
	deliver func(*eventlog.Record)
	done    chan error
}

const (
	// maxBacklog is how many messages wait while a feed reads the stream. Further ones are
	// dropped, and read from the stream too.
	maxBacklog = 1024
	// repairWait is how long to wait for the republished copy of a stored message.
	repairWait = 100 * time.Millisecond
	stalePause = 25 * time.Millisecond
)

// Follow implements [eventlog.Shared].
func (l *Log) Follow(ctx context.Context, channel string, follower eventlog.Follower) (eventlog.Position, func(), error) {
	from, stop, err := l.follow(ctx, channel, follower)
	if err != nil {
		return eventlog.Position{}, nil, fmt.Errorf("natslog: follow: %w", err)
	}
	return from, stop, nil
}

func (l *Log) follow(ctx context.Context, channel string, follower eventlog.Follower) (eventlog.Position, func(), error) {
	if err := l.enter(ctx); err != nil {
		return eventlog.Position{}, nil, err
	}
	defer l.calls.Done()
	if err := l.ready(ctx); err != nil {
		return eventlog.Position{}, nil, err
	}
	f, err := l.acquire(ctx, channel)
	if err != nil {
		return eventlog.Position{}, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ended:
		l.release(f)
		return eventlog.Position{}, nil, fmt.Errorf("%w: the stream was just replaced", eventlog.ErrUnavailable)
	case f.follower != nil:
		l.release(f)
		return eventlog.Position{}, nil, eventlog.ErrFollowed
	}
	f.follower = follower
	l.cache.begin(f, f.base())
	var once sync.Once
	stop := func() {
		once.Do(func() {
			f.mu.Lock()
			f.follower = nil
			f.mu.Unlock()
			l.cache.drop(f)
			l.release(f)
		})
	}
	return eventlog.Position{Epoch: f.epoch, Seq: f.base()}, stop, nil
}

// acquire returns the feed of a channel, opened. The caller must release it.
func (l *Log) acquire(ctx context.Context, channel string) (*feed, error) {
	t := token(channel)
	l.mu.Lock()
	f := l.feeds[l.republished(t)]
	if f == nil {
		f = &feed{
			log: l, stored: l.stored(t), live: l.republished(t), users: 1,
			opened: make(chan struct{}), reading: true, waiting: map[string]*waiter{},
		}
		l.feeds[f.live] = f
		l.mu.Unlock()
		f.err = f.open(ctx)
		close(f.opened)
	} else {
		f.users++
		l.mu.Unlock()
		select {
		case <-f.opened:
		case <-ctx.Done():
			l.release(f)
			return nil, ctx.Err()
		}
	}
	if f.err != nil {
		l.release(f)
		return nil, f.err
	}
	return f, nil
}

// open subscribes and finds out the newest message of the channel.
func (f *feed) open(ctx context.Context) error {
	sub, err := f.log.nc.ChanSubscribe(f.live, f.log.live)
	if err != nil {
		return unavailable(err)
	}
	// The leader may be another server than the one that received the subscription, and may
	// republish a message before it knows of it. The tail check finds such a message.
	s, err := f.log.state(ctx)
	var m message
	var ok bool
	if err == nil {
		m, ok, err = f.log.leaderMessage(ctx, 0, f.stored)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sub = sub
	if err != nil {
		return err
	}
	f.epoch, f.upTo = s.epoch, s.last
	f.last, f.good = anchor{seq: s.last}, s.floor
	if ok {
		// If it is newer than the state, nothing is known about messages after it.
		f.last, f.good = anchor{m.seq, m.id}, m.seq
		f.upTo = max(m.seq, s.last)
	}
	f.drain()
	return nil
}

func (l *Log) release(f *feed) {
	l.mu.Lock()
	f.users--
	over := f.users == 0
	if over && l.feeds[f.live] == f {
		delete(l.feeds, f.live)
	}
	l.mu.Unlock()
	if over {
		f.unsubscribe()
	}
}

func (f *feed) unsubscribe() {
	if f.sub != nil {
		_ = f.sub.Unsubscribe() // the connection may be closed
	}
}

// close ends the feed of a log that is closed.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(eventlog.ErrClosed)
	f.follower = nil
}

// lose ends the feed and notifies the follower.
func (f *feed) lose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.end(uncertain(err))
	if f.follower != nil {
		f.call(func() { f.follower.Lost(err) })
		f.follower = nil
	}
}

// end is called with mu held.
func (f *feed) end(err error) {
	f.ended, f.backlog = true, nil
	l := f.log
	l.mu.Lock()
	if l.feeds[f.live] == f {
		delete(l.feeds, f.live) // another may be opened
	}
	l.mu.Unlock()
	f.unsubscribe()
	l.cache.drop(f)
	for id, w := range f.waiting {
		delete(f.waiting, id)
		w.done <- err
	}
}

// await arranges that r is delivered when the message with this id arrives. It returns an
// error if the feed was lost; the message must then not be sent.
func (f *feed) await(id string, r *eventlog.Record, deliver func(*eventlog.Record)) (*waiter, error) {
	w := &waiter{record: r, deliver: deliver, done: make(chan error, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, eventlog.ErrUnavailable
	}
	f.waiting[id] = w
	return w, nil
}

// forget undoes await. If the record was delivered before, the result is in done.
func (f *feed) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, id)
}

// noteAck records that a message was stored.
func (f *feed) noteAck(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked = max(f.acked, seq)
}

// base returns the Seq up to which all messages were taken. It is called with mu held.
func (f *feed) base() uint64 { return max(f.last.seq, f.upTo) }

// newest returns the newest message that was taken.
func (f *feed) newest() anchor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// known returns the newest Seq of the channel that this handle knows to be stored, and its
// epoch.
func (f *feed) known() (seq uint64, epoch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last.id == "" { // not a message of this channel
		return f.acked, f.epoch
	}
	return max(f.last.seq, f.acked), f.epoch
}

// head returns a position such that all records at or before it were delivered. ok is false
// if there is no follower.
func (f *feed) head() (p eventlog.Position, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return eventlog.Position{Epoch: f.epoch, Seq: f.base()}, f.follower != nil
}

// behind reports whether the feed has not taken seq yet but will.
func (f *feed) behind(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.ended && f.err == nil && seq > f.base()
}

// quiet records that the stream has no messages of the channel after seq up to upTo.
func (f *feed) quiet(seq, upTo uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.reading && f.last.seq == seq {
		f.upTo = max(f.upTo, upTo)
	}
}

// take takes a republished message. It is called with mu held.
func (f *feed) take(m message) {
	switch {
	case f.ended:
	case f.reading:
		if len(f.backlog) < maxBacklog {
			f.backlog = append(f.backlog, m)
		}
		f.target = max(f.target, m.seq)
	case m.seq == f.last.seq && m.id == f.last.id: // it was already read from the stream
	case m.seq <= f.base():
		f.doubtful = true // its Seq may have been used again
		f.log.suspect()
	case f.follows(m):
		f.deliverNext(m)
	default:
		f.log.stats.gaps.Add(1)
		f.read(m.seq)
	}
}

// follows reports whether no message of the subject is between the newest that was taken
// and m. It is called with mu held.
func (f *feed) follows(m message) bool {
	if f.last.id == "" {
		return !f.doubtful && m.prev > 0 && m.prev <= f.base()
	}
	return !f.doubtful && m.prev == f.last.seq
}

// deliverNext delivers the message that follows the newest one. It is called with mu held.
func (f *feed) deliverNext(m message) {
	f.last, f.upTo = anchor{m.seq, m.id}, m.seq
	r, err := m.record(f.epoch, f.good)
	if err != nil {
		f.log.broken(m.subject, err)
		return
	}
	f.good = m.seq
	w := f.waiting[m.id]
	if w != nil {
		delete(f.waiting, m.id)
		w.record.Seq, w.record.Prev, w.record.Epoch, w.record.Time = r.Seq, r.Prev, r.Epoch, r.Time
		r = w.record
	}
	if f.follower != nil {
		f.log.cache.add(f, r)
		f.call(func() { f.follower.Deliver(r) })
	}
	if w != nil {
		f.call(func() { w.deliver(r) })
		w.done <- nil
	}
}

// call calls a function of the log's user, whose panic must not end the process. It is
// called with mu held.
func (f *feed) call(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			asynclog.LogPanic(f.log.options.Logger, v, "event log: a follower or a deliver panicked", "subject", f.stored)
		}
	}()
	fn()
}
