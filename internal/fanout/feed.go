package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// ErrLost is what sinks fail with when the feed of their channel has ended. Their
// clients find out from the log what they have missed.
var ErrLost = errors.New("fanout: feed of the channel lost")

var (
	errAborted  = errors.New("fanout: following the channel was aborted")
	errReleased = errors.New("fanout: channel released")
)

// feed passes the records of a shared log to a channel. The tail's mu guards early and
// lost, and Channel.feed, which is the feed that counts.
//
//   - early is the newest record that came before it was known where the feed begins.
//     Those before it are read from the log, as its Prev shows.
//   - err and stop are set once ready is closed.
type feed struct {
	ch       *Channel
	previous func() // releases the feed before this one; nil if there was none
	ready    chan struct{}
	started  bool
	early    *eventlog.Record
	lost     error
	err      error
	stop     func()
}

// Follow begins to follow the channel in a log that other processes append to as well,
// unless that was done already. It must be called before readers join; in a log of this
// process it does nothing. The error is that of the log, which is
// [eventlog.ErrUnavailable] also if the channel is followed and the log has not been heard
// of for too long.
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
			return f.err // else it was the context of the one that opened it
		}
	}
}

// currentFeed returns the feed that counts, and reports whether the caller has to open it.
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
	err = errAborted // if the log panics
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

// start begins the tail anew after from.
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

// Lost implements [eventlog.Follower]: what the readers have read may not be what the log
// has now, so none of them reads on.
func (f *feed) Lost(err error) {
	for _, sink := range f.end(err) {
		sink.Fail(fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// end takes the feed from its channel, ends the readers and returns their sinks.
func (f *feed) end(err error) []Sink {
	ch := f.ch
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if f.lost = err; ch.feed != f || !f.started {
		return nil
	}
	ch.feed = nil
	sinks := ch.readers.sinks(nil)
	ch.readers.leave()
	ch.history.pages.reset()
	ch.arrivals.end()
	return sinks
}

// Unfollow ends the feed, if there is one, and keeps the channel from being followed
// again. When it returns, nothing of the log calls the channel any more. It is called
// once, when the channel is not used any more.
func (ch *Channel) Unfollow() {
	ch.tail.mu.Lock()
	stop := ch.unfollow
	ch.unfollow, ch.feed, ch.released = nil, nil, true
	ch.tail.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// arrivals are the records of a shared log that are waited for until the feed brings
// them. They are guarded by the tail's mu.
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

// maxOwnWait is how long an answer waits at most for the events that its call has
// published, where the feed that brings them is cut.
const maxOwnWait = 5 * time.Second

// Settle sees to it that [Reader.Passed] counts the record seq, which was published, also
// if the group of the reader has yet to be scanned. In a shared log it waits until the
// feed has brought the record, at most 5 s and as long as ctx allows, and reports whether
// it has; where r has no subscription it does not wait.
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

// settle returns what to wait for, nil for nothing.
func (ch *Channel) settle(r *Reader, seq uint64) (done chan struct{}) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.options.Shared != nil && ch.tail.seen < seq && r.subscribed() {
		return ch.arrivals.add(seq)
	}
	ch.readers.groups[r.writer].notify(r, nil)
	return nil
}
