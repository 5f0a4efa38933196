package fanout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// ErrTooSlow is passed to the Fail method of a [Sink] whose reader needs events that are no longer
// kept.
var ErrTooSlow = errors.New("fanout: reader fell behind what is kept")

// Sink is the connection of a [Reader]. Its methods must not block and, except for Flush, must not
// call the package.
type Sink interface {
	// Writer returns the number of the pool's writer that writes to the connection.
	Writer() int
	// Wake schedules a call of [Reader.Read]. It is called with locks held.
	Wake()
	// Flush is called on the writer instead of Wake. It passes the connection to flush, which
	// sends what there is.
	Flush(flush func(*socket.Conn))
	// Replayed is called when the reader has read all records that s missed. Later events
	// are held back until [Reader.Release].
	Replayed(s *Subscription)
	// Fail closes the connection, because its events cannot be read. err is ErrTooSlow,
	// ErrLost, or the error of reading the log.
	Fail(err error)
}

// Subscription is a subscription of a client. The caller sets the first two fields,
// [Reader.Prepare] sets the others, and [Reader.Subscribe] starts it.
type Subscription struct {
	// ID is the id with which events are sent. It must be set before Subscribe.
	ID peer.ID
	// CursorEvents is set if the client accepts events that only move its cursor.
	CursorEvents bool

	// Truncated is set if events that the client has missed are no longer kept, or may not be.
	Truncated bool
	// Replayed is the number of missed or latest events that were sent.
	Replayed int

	state    state // the state in which reading begins, with the next three fields
	at       *node
	cursor   uint64
	lastSent uint64
	from     eventlog.Position // the replay begins after it
	latest   bool              // the replay has the latest events, because there is no last event id
	fell     place             // while catchingUp, the place in the tail after the last record that was read
	awaited  uint64            // Seq of a record or position that the tail must reach; 0 if there is none
	overdue  *time.Timer       // deadline for awaited; nil if awaited is 0
}

// state is the state of a reader. The meaning of Reader.at depends on it:
//
//	state         the reader                                at
//	unsubscribed  reads nothing                             nil
//	replaying     reads missed records from the log         the last of them
//	held          reads nothing, until its hook returns     the record before the first live one
//	current       has read everything                       nil
//	announcing    has read everything, but a cursor event   that event
//	following     reads from the tail                       the next record
//	catchingUp    reads the log, having fallen behind       the newest record when that began
//	left          reads nothing any more                    nil
//
// These are the transitions:
//
//	from                   to                       when
//	any but left           replaying                Subscribe, with missed records or latest ones
//	any but left           held                     Subscribe, without
//	replaying              held                     the log is read up to at
//	held                   following or current     Release
//	current                announcing               the log has moved on without the reader
//	announcing             current                  the cursor event is sent
//	current, announcing    following                a record is published that may be for it
//	following              current                  the end of the tail is reached
//	following              catchingUp               the next record is not in the tail
//	catchingUp             following or current     the log is read up to at
//	any but left           unsubscribed             Unsubscribe
//	any                    left                     Leave, or the feed of a shared log is lost
type state uint8

const (
	unsubscribed state = iota
	replaying
	held
	current
	announcing
	following
	catchingUp
	left
)

// Reader is the position of a connection in a channel, from [Channel.Join] until [Channel.Leave].
// It is a part of the connection and must not be copied. Its methods are safe for concurrent use,
// except that Read must be called by one goroutine at a time.
//
// mu guards the fields after it. It may be taken while the channel's lock is held.
//
//   - Every record up to cursor was processed, and those that are for the reader were read, in
//     order and once.
//   - lastSentSeq is the last position that was sent to the client, as the id of an event or in
//     the response to its subscription.
//   - page is the part of the log that is being read; it is kept so that others can use it.
//   - sub is nil if the state is unsubscribed or left.
type Reader struct {
	history   *history
	sink      Sink
	tags      []string // never changed, without repetitions
	recipient eventlog.Recipient
	writer    int

	// The places of the reader in the lists of the channel's index, which the tail's mu guards
	// too: in its group, in that of its recipient, and in that of each tag.
	atGroup, atRecipient int32
	atTags               []int32

	mu          sync.Mutex
	state       state
	at          *node
	cursor      uint64
	lastSentSeq uint64
	page        *page
	sub         *Subscription
}

// become changes the state. No other function does.
func (r *Reader) become(s state, at *node) {
	r.state, r.at = s, at
	if s != replaying && s != catchingUp {
		r.page = nil
	}
}

// follow makes the first unprocessed record from n on the next one to be read, and reports whether
// there is one.
func (r *Reader) follow(n *node) bool {
	if n = n.after(r.cursor); n == nil {
		return false
	}
	r.cursor = max(r.cursor, n.before)
	r.become(following, n)
	return true
}

// resume continues with the records in the tail after the one that the reader has reached.
func (r *Reader) resume() {
	if !r.follow(r.at.next.Load()) {
		r.become(current, nil)
	}
}

// Includes reports whether an event with this audience is for the reader's client. It is used for
// live events, replays and the history.
func (r *Reader) Includes(a *eventlog.Audience) bool { return a.Includes(r.tags, r.recipient) }

// maxTailWait is how long a subscription that resumes ahead of the tail waits for the feed to reach
// that position. After that the log counts as unreachable, and the client must try again.
const maxTailWait = 10 * time.Second

// expect starts waiting for the tail to reach the position from which s resumes, unless it has. It
// is called with both locks held.
func (r *Reader) expect(s *Subscription) {
	if s.awaited > r.history.tail.seen {
		s.overdue = r.history.options.After(maxTailWait, func(ctx context.Context) {
			if err := r.late(ctx, s); err != nil {
				r.sink.Fail(err)
			}
		})
	}
}

// late returns an error if the tail has not reached the position from which s resumes and s still
// waits for it.
func (r *Reader) late(ctx context.Context, s *Subscription) error {
	_, known := r.history.tail.head()
	if r.subscription() != s || known.Seq >= s.awaited {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxTailWait)
	defer cancel()
	head, err := r.history.options.Log.Head(ctx, r.history.channel)
	switch {
	case err != nil:
		return err
	case head.Seq < s.awaited:
		return fmt.Errorf("fanout: record %d has not arrived yet: %w", s.awaited, eventlog.ErrUnavailable)
	}
	return nil
}

func (r *Reader) subscription() *Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sub
}

// Subscribe starts reading for s, which replaces an earlier subscription. It returns true if s has
// missed nothing, so that its replay is complete; events are then held back until Release, too. If
// the reader has left, it does nothing and returns false.
func (r *Reader) Subscribe(s *Subscription) (replayed bool) {
	t := r.history.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == left {
		return false
	}
	r.end(unsubscribed)
	t.common.add(s.ID)
	r.sub, r.cursor, r.lastSentSeq = s, s.cursor, s.lastSent
	r.become(s.state, s.at)
	s.at = nil // it would keep the tail in memory
	r.expect(s)
	r.sink.Wake()
	return r.state == held
}

// Release starts reading live events if s is waiting for that.
func (r *Reader) Release(s *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub == s && r.state == held {
		r.resume()
		r.sink.Wake()
	}
}

// Unsubscribe stops reading for s, if that is still the reader's subscription.
func (r *Reader) Unsubscribe(s *Subscription) {
	t := r.history.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub == s {
		r.end(unsubscribed)
		r.sink.Wake() // answers that waited for its events can be sent
	}
}

// leave ends the reader. It is called with the channel's mu held.
func (r *Reader) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(left)
}

// end ends the subscription, if there is one. It is called with both locks held.
func (r *Reader) end(s state) {
	if r.sub != nil {
		r.history.tail.common.remove(r.sub.ID)
		if r.sub.overdue != nil {
			r.sub.overdue.Stop()
		}
	}
	r.sub = nil
	r.become(s, nil)
}

// notify makes n, or a record after it, the next one to be read if the reader has read everything
// before it, and reports whether it did. The channel's mu is held.
func (r *Reader) notify(n *node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (r.state == current || r.state == announcing) && r.follow(n)
}

// announce makes the reader send a cursor event if the head of the log is after the last position
// that was sent, and not before a position that the client has received from another process. The
// channel's mu is held.
func (r *Reader) announce(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (r.state == current || r.state == announcing) && r.sub.CursorEvents && r.lastSentSeq < n.rec.Seq && r.cursor <= n.rec.Seq {
		r.cursor = n.rec.Seq
		r.become(announcing, n)
		r.sink.Wake()
	}
}

// subscribed reports whether the reader has a subscription.
func (r *Reader) subscribed() bool { return r.subscription() != nil }

// Passed reports whether every event of the channel up to seq that is for the client was read, or
// will not be read because there is no subscription. Messages that are sent after that follow these
// events. It returns false when the reader has left.
func (r *Reader) Passed(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state {
	case replaying, held, following, catchingUp:
		return seq <= r.cursor
	case left:
		return seq == 0
	default:
		return true
	}
}
