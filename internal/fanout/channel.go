package fanout

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// Options are what the channels of a namespace have in common. They must not be changed
// once a channel was made with them.
type Options struct {
	// Log is where records are stored. Nil keeps nothing.
	Log eventlog.Log

	// Shared is Log if other processes append to it as well, else nil.
	Shared eventlog.Shared

	// SoleWriter is set if nothing but these channels appends to Log.
	SoleWriter bool

	// Retention is the age at which records are not replayed any more, even if Log still
	// has them. 0 leaves that to Log.
	Retention time.Duration

	// Latest is how many of the newest records for its client a subscription without a
	// last event id begins with, among the newest LatestScan. 0 is none.
	Latest, LatestScan int

	// MaxLagBytes bounds the part of the tail that a slow reader keeps in memory.
	MaxLagBytes int

	// Pool has the writers of the sinks.
	Pool *socket.Pool
}

// Channel is a log and the connections that read it. It is safe for concurrent use.
//
// The tail's mu guards the index too, so that these hold whenever it is free:
//
//   - The tail has every record that the channel was given, and each reader that a
//     record may be for was notified of it, on its own or by its group.
//   - The tail counts the subscriptions of the readers in the index, and no others.
//   - The nodes that groups of the index have yet to notify readers of are in the tail's
//     list. Where that begins anew the groups forget them: from a node of the old list no
//     reader finds the records that come later.
//   - In a shared log, feed is nil or the feed that is opened or passes records, and
//     unfollow releases the one that passed them last. Where feed is nil all readers of
//     the index have left, or the channel is released.
type Channel struct {
	options  *Options
	deliver  func(*eventlog.Record) // the method receive, made once; nil in a shared log
	history  history
	tail     tail
	readers  index
	feed     *feed
	unfollow func()
	released bool          // it is not followed again
	appended atomic.Uint64 // to a shared log by this process; else the tail counts
	arrivals arrivals
}

// New returns a channel, which has to be opened before it is used.
func New(o *Options, name string) *Channel {
	ch := &Channel{options: o}
	ch.tail.maxLag = o.MaxLagBytes
	ch.tail.common.id = firstID
	ch.history = history{
		options: o, channel: name, retention: o.Retention, tail: &ch.tail, readers: &ch.readers,
	}
	if o.Shared == nil {
		ch.deliver = ch.receive
	} else if o.Retention > 0 {
		ch.history.retention += clockSkew
	}
	return ch
}

// clockSkew is how far the clock of a shared log may differ from that of this machine
// without effect.
const clockSkew = 10 * time.Second

// Open asks the log for its head. Only records after that are delivered. If it fails it
// can be called again. In a shared log that is for [Channel.Follow] to do.
func (ch *Channel) Open(ctx context.Context) error {
	var head eventlog.Position
	if ch.options.Shared == nil {
		var err error
		if head, err = ch.head(ctx); err != nil {
			return err
		}
	}
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.tail.newest = &node{rec: &eventlog.Record{Seq: head.Seq, Epoch: head.Epoch}}
	ch.tail.seen = max(ch.tail.seen, head.Seq)
	return nil
}

func (ch *Channel) head(ctx context.Context) (eventlog.Position, error) {
	if ch.options.Log == nil {
		return eventlog.Position{}, nil
	}
	return ch.options.Log.Head(ctx, ch.history.channel)
}

// Publish stores a record and sets its Seq, then delivers it to the readers that it is
// for, without waiting for any. Readers of a shared log get it from the feed, which may
// be later. The error is that of the log.
func (ch *Channel) Publish(ctx context.Context, rec *eventlog.Record) error {
	if log := ch.options.Log; log != nil {
		err := log.Append(ctx, ch.history.channel, rec, ch.deliver)
		if err == nil && ch.options.Shared != nil {
			ch.appended.Add(1)
		}
		return err
	}
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	rec.Prev = ch.tail.newest.rec.Seq
	rec.Seq = rec.Prev + 1
	ch.append(rec)
	return nil
}

// Published returns how many records Publish has stored. In a shared log one counts again that
// was stored before under its key.
func (ch *Channel) Published() uint64 {
	if ch.options.Shared != nil {
		return ch.appended.Load()
	}
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.tail.newest == nil { // it was not opened
		return 0
	}
	return ch.tail.newest.count
}

// receive is called by the log, in order of Seq, with each record that was stored.
func (ch *Channel) receive(rec *eventlog.Record) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.accept(rec)
}

// accept appends a record unless the tail already has it. It is called with the tail's
// mu held.
func (ch *Channel) accept(rec *eventlog.Record) {
	if rec.Seq > ch.tail.newest.rec.Seq {
		ch.append(rec)
	}
}

// append adds a record to the tail and notifies its readers. If its Prev shows that the
// channel was not given a record before it, readers read on from the log. It is called
// with the lock held.
func (ch *Channel) append(rec *eventlog.Record) {
	// Where nobody else writes, Prev may be the floor of a log that has forgotten the
	// channel, but nothing was left out.
	gap := !ch.options.SoleWriter && rec.Prev > ch.tail.seen
	ch.readers.notify(ch.tail.append(rec, gap, ch.readers.count))
	if len(ch.arrivals) > 0 {
		ch.arrivals.passed(rec.Seq)
	}
}

// Join makes r, which is new, a reader of the channel, for a client that has these tags
// and is this recipient. It reads nothing until [Reader.Subscribe]. If the feed of a
// shared log was lost since [Channel.Follow], the sink fails with ErrLost.
func (ch *Channel) Join(r *Reader, sink Sink, tags []string, recipient eventlog.Recipient) {
	if !ch.join(r, sink, tags, recipient) {
		sink.Fail(ErrLost)
	}
}

func (ch *Channel) join(r *Reader, sink Sink, tags []string, recipient eventlog.Recipient) bool {
	r.history, r.sink, r.tags, r.recipient, r.writer = &ch.history, sink, tags, recipient, sink.Writer()
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.readers.add(r, ch.options.Pool)
	if ch.options.Shared != nil && (ch.feed == nil || !ch.feed.started) {
		r.leave()
		return false
	}
	return true
}

// Leave ends a reader. It is called once, after Join.
func (ch *Channel) Leave(r *Reader) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.readers.remove(r)
	r.leave()
	if ch.readers.count == 0 {
		ch.tail.reset()
		ch.readers.forget()
	}
}

// Sinks returns the sinks of the readers that have one of the tags, or of all readers
// if tags is nil.
func (ch *Channel) Sinks(tags []string) []Sink {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	return ch.readers.sinks(tags)
}

// MoveCursors notes the head of the log, and sends it to clients that were sent nothing
// else lately, so that no client's position gets older than what is retained. It does
// nothing for a channel of a shared log that is not followed.
func (ch *Channel) MoveCursors(ctx context.Context) error {
	f := ch.openFeed()
	if ch.options.Shared != nil && f == nil {
		return nil
	}
	head, err := ch.head(ctx)
	if err != nil {
		return err
	}
	n := &node{rec: &eventlog.Record{Seq: head.Seq, Epoch: head.Epoch}}
	n.suffix = appendPositionedSuffix(nil, head, nil, nil)
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.feed != f { // it was lost since, and the head may be that of another log
		return nil
	}
	ch.tail.seen = max(ch.tail.seen, head.Seq)
	ch.readers.announce(n)
	return nil
}

// openFeed returns the feed that passes records, nil if there is none.
func (ch *Channel) openFeed() *feed {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.feed == nil || !ch.feed.started {
		return nil
	}
	return ch.feed
}
