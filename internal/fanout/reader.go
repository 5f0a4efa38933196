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

// ErrTooSlow is the error of a [Sink] whose reader lacks events that are not kept any
// more.
var ErrTooSlow = errors.New("fanout: reader fell behind what is kept")

// Sink is the connection that a [Reader] reads for. Its methods do not block and do not
// call the package, but for Flush.
type Sink interface {
	// Writer returns the number of the pool's writer that writes to the connection.
	Writer() int
	// Wake schedules a call of [Reader.Read]. It is called with locks held.
	Wake()
	// Flush is Wake for a caller that is on the writer: it passes the connection to
	// flush, which sends what there is.
	Flush(flush func(*socket.Conn))
	// Replayed reports that the reader has read all that s missed. Events are held back
	// until [Reader.Release].
	Replayed(s *Subscription)
	// Fail closes the connection, whose events cannot be read on: the error is
	// ErrTooSlow, or that of reading the log.
	Fail(err error)
}

// Subscription is what a client has asked to read. [Reader.Prepare] sets its fields but
// the first two, and [Reader.Subscribe] makes it the reader's.
type Subscription struct {
	// ID is the id under which events are sent. It must be set before Subscribe.
	ID peer.ID
	// CursorEvents is set if the client understands events that only move its cursor.
	CursorEvents bool

	// Truncated is set if events that the client has missed are gone, or may be.
	Truncated bool
	// Replayed is the number of missed or latest events that were sent.
	Replayed int

	state    state // in which reading begins, with the next three
	at       *node
	cursor   uint64
	lastSent uint64
	from     eventlog.Position // where the replay begins
	latest   bool              // it begins there for want of a last event id
	fell     place             // while catchingUp, in the tail: what was read last
	awaited  uint64            // a record or position that the tail lacks; 0: it has all
	overdue  *time.Timer       // for awaited; nil if that is not waited for
}

// state is what a reader does. What at refers to depends on it:
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
//	any but left           replaying                Subscribe, with missed records
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
//	any                    left                     Leave
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

// Reader is a connection's place in a channel, from [Channel.Join] until
// [Channel.Leave]. It is meant to be part of the connection and not to be copied. Its
// methods are safe for concurrent use, but Read is called by one goroutine at a time.
//
// mu guards the fields after it. It may be taken while the channel's is held.
//
//   - Every record up to cursor was looked at, and those that are for the reader were
//     read: in order, each once.
//   - lastSentSeq is the last position that the client was sent, as the id of an event
//     or as the head in the response to its subscription.
//   - page is the part of the log that is being read, which is kept for other readers.
//   - sub is nil if the state is unsubscribed or left.
type Reader struct {
	history   *history
	sink      Sink
	tags      []string // never changed
	recipient eventlog.Recipient
	writer    int

	mu          sync.Mutex
	state       state
	at          *node
	cursor      uint64
	lastSentSeq uint64
	page        *page
	sub         *Subscription
}

// become changes the state. Nothing else does.
func (r *Reader) become(s state, at *node) {
	r.state, r.at = s, at
	if s != replaying && s != catchingUp {
		r.page = nil
	}
}

// follow makes the first record from n on that was not looked at the next one to be
// read, and reports whether there is one.
func (r *Reader) follow(n *node) bool {
	if n = n.after(r.cursor); n == nil {
		return false
	}
	r.cursor = max(r.cursor, n.before)
	r.become(following, n)
	return true
}

// resume goes on with what is in the tail after the record that the reader has come to.
func (r *Reader) resume() {
	if !r.follow(r.at.next.Load()) {
		r.become(current, nil)
	}
}

// Prepare sets up a subscription that resumes after lastEventID or, if that is empty,
// begins with the latest events, see [Options].Latest. It returns two positions: begin is
// that before the first event that the client is sent, unless it resumes, and live that
// after which the events are live ones.
func (r *Reader) Prepare(ctx context.Context, s *Subscription, lastEventID string) (begin, live eventlog.Position, err error) {
	s.at, live = r.history.tail.head()
	begin = live
	s.state, s.cursor = held, s.at.rec.Seq
	switch {
	case lastEventID == "":
		if begin, err = r.history.latest(ctx, live, r); err != nil {
			return begin, live, err
		}
		if s.lastSent = begin.Seq; begin != live {
			s.state, s.cursor, s.from, s.latest = replaying, 0, begin, true
		}
	case r.history.options.Log == nil:
		s.Truncated = true
	default:
		s.from = eventlog.PositionOf(lastEventID)
		var first uint64
		if first, s.Truncated, err = r.history.missed(ctx, s.from); err != nil {
			return begin, live, err
		}
		switch {
		case s.Truncated && first == 0:
		case s.Truncated, first > 0 && s.from.Seq < s.cursor:
			s.state, s.cursor = replaying, 0
		default:
			// What the client has seen, in another process, may be yet to come here, and
			// then all that it has missed is. Where nothing was missed the log is not asked
			// again: by then it may have forgotten the channel, and be unable to tell.
			s.cursor = max(s.cursor, s.from.Seq)
			s.awaited = max(first, s.from.Seq)
			live.Seq = max(live.Seq, s.from.Seq)
		}
	}
	return begin, live, nil
}

// Includes reports whether an event of this audience is for the reader's client: live, in
// a replay, or in a page of the past.
func (r *Reader) Includes(a *eventlog.Audience) bool { return a.Includes(r.tags, r.recipient) }

// maxTailWait is how long a subscription that resumes ahead of the tail waits at most for
// the feed to come there. Then the log is out of reach, and the client has to try again.
const maxTailWait = 10 * time.Second

// expect begins to wait for the tail to come to where s resumes, if it is not there. It
// is called with both locks held.
func (r *Reader) expect(s *Subscription) {
	if s.awaited > r.history.tail.seen {
		s.overdue = time.AfterFunc(maxTailWait, func() {
			if err := r.late(s); err != nil {
				r.sink.Fail(err)
			}
		})
	}
}

// late returns an error if the tail is not where s resumes, and s still waits for it.
func (r *Reader) late(s *Subscription) error {
	_, known := r.history.tail.head()
	if r.subscription() != s || known.Seq >= s.awaited {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxTailWait)
	defer cancel()
	head, err := r.history.options.Log.Head(ctx, r.history.channel)
	switch {
	case err != nil:
		return err
	case head.Seq < s.awaited:
		return fmt.Errorf("fanout: the feed is not at %d yet: %w", s.awaited, eventlog.ErrUnavailable)
	}
	return nil
}

func (r *Reader) subscription() *Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sub
}

// Subscribe begins to read for s, in place of an earlier subscription. It reports
// whether s has been replayed already, since it missed nothing: then, too, events are
// held back until Release. If the reader has left, it does nothing and returns false.
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
	s.at = nil // or it would keep the tail in memory
	r.expect(s)
	r.sink.Wake()
	return r.state == held
}

// Release begins to read what is published, if s waits for that.
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
		r.sink.Wake() // what waited for its events is due
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

// notify makes n the next record to be read, or one after it, if the reader has read
// everything before it. It reports whether it did. The channel's mu is held.
func (r *Reader) notify(n *node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (r.state == current || r.state == announcing) && r.follow(n)
}

// announce makes the reader send a cursor event, if the log has moved on since it last
// sent anything, and is not behind what the client has seen in another process. The
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

// subscribed reports whether events are read, or held back.
func (r *Reader) subscribed() bool { return r.subscription() != nil }

// Passed reports whether every event of the channel up to seq that is for the client
// was read, or never will be because it has no subscription. What is sent after that comes
// after these events. It is false when the reader has left.
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

// Behind reports whether the reader was too slow for what is published, and reads it
// from the log.
func (r *Reader) Behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == catchingUp || r.state == following && r.at.gap
}
