package fanout

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Channel is a channel of a log, with the readers of its connections. It is safe for concurrent
// use.
//
// The tail's mu also guards the index. These invariants hold whenever it is unlocked:
//
//   - The tail has every record that the channel has received, and each reader that a record
//     may be for was notified of it, on its own or through its group.
//   - The tail counts exactly the subscriptions of the readers in the index.
//   - The nodes for which groups of the index still have to notify readers are in the tail's
//     list. When the tail begins a new list, the groups forget them, because readers cannot
//     get from a node of the old list to later records.
//   - In a shared log, feed is nil or the feed that is being opened or delivers records, and
//     unfollow releases the last feed that did. If feed is nil, all readers of the index have
//     left, or the channel is released.
type Channel struct {
	options  *Options
	deliver  func(*eventlog.Record) // the method value receive, created once; nil in a shared log
	history  history
	tail     tail
	readers  index
	feed     *feed
	unfollow func()
	released bool          // the channel must not be followed again
	appended atomic.Uint64 // number of records appended to a shared log by this process; otherwise the tail counts
	arrivals arrivals
}

// New returns a channel. It must be opened before it is used.
func New(o *Options, name string) *Channel {
	ch := &Channel{options: o}
	ch.tail.maxLag = o.MaxLagBytes
	ch.tail.common.id = firstID
	ch.history = history{
		options: o, channel: name, retention: o.Retention, tail: &ch.tail,
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

// Open reads the head of the log. Only records after it are delivered. If it fails, it can be
// called again. In a shared log, [Channel.Follow] reads the head instead.
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

// Publish stores a record, sets its Seq and delivers it to the readers that it is for, without
// waiting for them. Readers of a shared log receive it from the feed, possibly later. The error
// is that of the log.
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

// Published returns the number of records that Publish has stored. In a shared log, repetitions of
// a record with the same key are counted too.
func (ch *Channel) Published() uint64 {
	if ch.options.Shared != nil {
		return ch.appended.Load()
	}
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.tail.newest == nil { // the channel was not opened
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

// append adds a record to the tail and notifies its readers. If its Prev shows that the channel
// has not received the record before it, readers continue from the log. It is called with the
// tail's mu held.
func (ch *Channel) append(rec *eventlog.Record) {
	// In a log without other writers, no record is missing even if Prev is later: it is then
	// the floor of a log that has forgotten the channel.
	gap := !ch.options.SoleWriter && rec.Prev > ch.tail.seen
	ch.readers.notify(ch.tail.append(rec, gap, ch.readers.count))
	if len(ch.arrivals) > 0 {
		ch.arrivals.passed(rec.Seq)
	}
}

// Join makes r, which must be new, a reader of the channel, for a client with these tags and this
// recipient. It reads nothing before [Reader.Subscribe]. If the feed of a shared log was lost
// since [Channel.Follow], sink.Fail is called with ErrLost.
func (ch *Channel) Join(r *Reader, sink Sink, tags []string, recipient eventlog.Recipient) {
	if !ch.join(r, sink, tags, recipient) {
		sink.Fail(ErrLost)
	}
}

func (ch *Channel) join(r *Reader, sink Sink, tags []string, recipient eventlog.Recipient) bool {
	r.history, r.sink, r.recipient, r.writer = &ch.history, sink, recipient, sink.Writer()
	r.tags = distinct(tags)
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	ch.readers.add(r, ch.options.Pool)
	if ch.options.Shared != nil && (ch.feed == nil || !ch.feed.started) {
		r.leave()
		return false
	}
	return true
}

// distinct returns the tags without repetitions, so that a reader is in each list once.
func distinct(tags []string) []string {
	if len(tags) < 2 {
		return tags
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(tags)))
	if len(sorted) == len(tags) {
		return tags
	}
	return sorted
}

// Leave removes a reader. It must be called once, after Join.
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

// Sinks returns the sinks of the readers with one of the tags, or of all readers if tags is nil:
// each of them once, if it neither joins nor leaves during the call.
func (ch *Channel) Sinks(tags []string) []Sink {
	var readers []*Reader
	if tags == nil {
		readers = ch.allReaders()
	}
	for _, tag := range tags {
		readers = ch.appendTagged(readers, tag)
	}
	if len(tags) > 1 {
		readers = unique(readers)
	}
	return sinksOf(readers)
}

// allReaders and appendTagged hold the lock only while they copy a list: all that depends on the
// readers is done without it, so that a publisher does not wait for that.
func (ch *Channel) allReaders() []*Reader {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	return ch.readers.all()
}

func (ch *Channel) appendTagged(list []*Reader, tag string) []*Reader {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	return ch.readers.appendTagged(list, tag)
}

// unique removes the repetitions in a list of readers.
func unique(list []*Reader) []*Reader {
	seen := make(map[*Reader]struct{}, len(list))
	return slices.DeleteFunc(list, func(r *Reader) bool {
		before := len(seen)
		seen[r] = struct{}{}
		return len(seen) == before
	})
}

func sinksOf(readers []*Reader) []Sink {
	sinks := make([]Sink, len(readers))
	for i, r := range readers {
		sinks[i] = r.sink
	}
	return sinks
}
