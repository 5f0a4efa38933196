package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// ErrLost is passed to sinks when the feed of their channel has ended. Their clients reconnect and
// read missed records from the log.
var ErrLost = errors.New("fanout: feed of the channel lost")

var (
	errAborted  = errors.New("fanout: following the channel was aborted")
	errReleased = errors.New("fanout: channel released")
)

// feed delivers the records of a shared log to a channel. The tail's mu guards early, lost and
// Channel.feed, which is the current feed.
//
//   - early is the newest record that arrived before the position was known at which the feed
//     begins. Readers read those before it from the log, because of its Prev.
//   - err and stop are set once ready is closed.
type feed struct {
	ch       *Channel
	previous func() // releases the previous feed; nil if there was none
	ready    chan struct{}
	started  bool
	early    *eventlog.Record
	lost     error
	err      error
	stop     func()
}

// Follow starts following the channel in a shared log, unless it is already followed. It must be
// called before readers join. For other logs it does nothing. The error is that of the log; it is
// [eventlog.ErrUnavailable] also if the channel is followed but the log has not been reached for
// too long.
func (ch *Channel) Follow(ctx context.Context) error {
	if ch.options.Shared == nil {
		return nil
	}
	for {
		f, mine := ch.currentFeed()
		if mine {
			return f.open(ctx)
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if f.err == nil {
			_, err := ch.head(ctx)
			return err
		}
		if ctx.Err() != nil || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.err // otherwise the context of the caller that opened it has ended
		}
	}
}

// currentFeed returns the current feed, and reports whether the caller must open it.
func (ch *Channel) currentFeed() (f *feed, mine bool) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.feed == nil {
		ch.feed, mine = &feed{ch: ch, previous: ch.unfollow, ready: make(chan struct{})}, true
		ch.unfollow = nil
	}
	return ch.feed, mine
}

func (f *feed) open(ctx context.Context) (err error) {
	ch, from := f.ch, eventlog.Position{}
	err = errAborted // remains if the log panics
	defer func() {
		if err == nil {
			err = f.start(from)
		}
		if err != nil && f.stop != nil {
			f.stop()
		}
		ch.tail.mu.Lock()
		if err != nil && ch.feed == f {
			ch.feed = nil
		}
		ch.tail.mu.Unlock()
		f.err = err
		close(f.ready)
	}()
	if f.previous != nil {
		f.previous()
	}
	from, f.stop, err = ch.options.Shared.Follow(ctx, ch.history.channel, f)
	return err
}

// start begins a new tail after from.
func (f *feed) start(from eventlog.Position) error {
	ch := f.ch
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	switch {
	case f.lost != nil:
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, f.lost)
	case ch.released:
		return errReleased
	}
	ch.tail.restart(from)
	ch.readers.forget()
	f.started, ch.unfollow = true, f.stop
	if f.early != nil {
		ch.accept(f.early)
		f.early = nil
	}
	return nil
}

// Deliver implements [eventlog.Follower].
func (f *feed) Deliver(rec *eventlog.Record) {
	ch := f.ch
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	switch {
	case ch.feed != f || f.lost != nil:
	case f.started:
		ch.accept(rec)
	default:
		f.early = rec
	}
}

// Lost implements [eventlog.Follower]. It ends all readers, because the log may have other records
// now than those that they have read.
func (f *feed) Lost(err error) {
	for _, r := range f.end(err) {
		r.sink.Fail(fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// end removes the feed from its channel, and ends its readers and returns them. They remain in the
// index until [Channel.Leave].
func (f *feed) end(err error) []*Reader {
	ch := f.ch
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if f.lost = err; ch.feed != f || !f.started {
		return nil
	}
	ch.feed = nil
	readers := ch.readers.all()
	for _, r := range readers {
		r.leave()
	}
	ch.history.pages.reset()
	ch.arrivals.end()
	return readers
}

// Unfollow ends the feed, if there is one, and prevents the channel from being followed again.
// When it returns, the log no longer calls the channel. It must be called once, when the channel
// is no longer used.
func (ch *Channel) Unfollow() {
	ch.tail.mu.Lock()
	stop := ch.unfollow
	ch.unfollow, ch.feed, ch.released = nil, nil, true
	ch.tail.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// arrivals are waits for the feed to deliver records of a shared log. They are guarded by the
// tail's mu.
type arrivals []arrival

type arrival struct {
	seq  uint64
	done chan struct{}
}

func (as *arrivals) add(seq uint64) (done chan struct{}) {
	done = make(chan struct{})
	*as = append(*as, arrival{seq, done})
	return done
}

// passed ends the waits for records up to seq.
func (as *arrivals) passed(seq uint64) {
	left := (*as)[:0]
	for _, a := range *as {
		if a.seq <= seq {
			close(a.done)
		} else {
			left = append(left, a)
		}
	}
	clear((*as)[len(left):])
	*as = left
}

// remove drops a wait that may have ended.
func (as *arrivals) remove(done chan struct{}) {
	for i, a := range *as {
		if a.done == done {
			last := len(*as) - 1
			(*as)[i], (*as)[last] = (*as)[last], arrival{}
			*as = (*as)[:last]
			return
		}
	}
}

// end ends all waits.
func (as *arrivals) end() {
	for _, a := range *as {
		close(a.done)
	}
	*as = nil
}

// maxOwnWait is how long an answer waits at most for the events that its call has published, if
// the feed is interrupted.
const maxOwnWait = 5 * time.Second

// Settle ensures that [Reader.Passed] takes the published record seq into account, even if the
// reader's group has not been scanned yet. In a shared log it waits until the feed has delivered
// the record, until ctx ends, but at most 5 s, and reports whether it was delivered. If r has no
// subscription, it does not wait.
func (ch *Channel) Settle(ctx context.Context, r *Reader, seq uint64) (arrived bool) {
	done := ch.settle(r, seq)
	if done == nil {
		return true
	}
	timer := time.NewTimer(maxOwnWait)
	defer timer.Stop()
	select {
	case <-done:
		arrived = true
	case <-timer.C:
	case <-ctx.Done():
	}
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.arrivals.remove(done)
	ch.readers.groups[r.writer].notify(r, nil)
	return arrived
}

// settle returns a channel to wait for, or nil.
func (ch *Channel) settle(r *Reader, seq uint64) (done chan struct{}) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.options.Shared != nil && ch.tail.seen < seq && r.subscribed() {
		return ch.arrivals.add(seq)
	}
	ch.readers.groups[r.writer].notify(r, nil)
	return nil
}
