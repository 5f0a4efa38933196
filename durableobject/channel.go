package durableobject

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Recipient names a client that an event is for: see [WithTargetRecipients].
type Recipient = eventlog.Recipient

// channel is the core of an object, without its Go types: a log, the tail of it
// in memory, and the sockets that read it. It lives from first use until it has
// been idle for a while; see life.go.
type channel struct {
	core *core
	name string

	pins    atomic.Int64 // users; see life.go
	touched atomic.Int64 // Unix nanoseconds at which the last user left
	opened  once         // of the channel
	hubOnce once         // of the hub
	hub     any          // the application's object, after hubOnce

	// mu guards the fields below. It is held for the time it takes to look at
	// the sockets that an event is for, never while user code or I/O runs. A
	// socket's mu may be taken while it is held, never the other way round.
	//
	//   - tail is the newest record that the channel was handed. Every record of
	//     the channel up to it was offered to each socket that it is for.
	//   - seen is at tail or later: the log has no record of the channel between.
	//   - A socket is in sockets, and in byTag and byID under each of its tags and
	//     its recipient, from join to leave.
	mu      sync.Mutex
	tail    *node
	seen    uint64
	checked int64 // tail.end when lags were last looked at
	sockets []*Websocket
	byTag   map[string][]*Websocket
	byID    map[Recipient][]*Websocket
}

// open finds out where the log stands. Only events after that are handed over.
func (ch *channel) open(ctx context.Context) error {
	var head eventlog.Position
	if log := ch.core.log; log != nil {
		var err error
		if head, err = log.Head(ctx, ch.name); err != nil {
			return err
		}
	}
	ch.tail = &node{rec: &eventlog.Record{Seq: head.Seq, Epoch: head.Epoch}}
	ch.seen = head.Seq
	return nil
}

// publish stores a record, then hands it to the sockets that it is for.
func (ch *channel) publish(ctx context.Context, rec *eventlog.Record) error {
	if log := ch.core.log; log != nil {
		return log.Append(ctx, ch.name, rec, ch.deliver)
	}
	rest := appendRest(nil, rec)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	rec.Seq, rec.Prev = ch.tail.rec.Seq+1, ch.tail.rec.Seq
	ch.append(rec, rest)
	return nil
}

// deliver is called by the log, in order of Seq, with each record that was stored.
func (ch *channel) deliver(rec *eventlog.Record) {
	rest := appendRest(nil, rec)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if rec.Seq > ch.tail.rec.Seq {
		ch.append(rec, rest)
	}
}

// append is called with mu held.
func (ch *channel) append(rec *eventlog.Record, rest []byte) {
	before := ch.tail
	n := &node{rec: rec, rest: rest, before: ch.seen, end: before.end + int64(len(rest)+recordOverhead)}
	// Nobody else writes to a log of our own, so there Prev tells nothing new.
	n.gap = !ch.core.ownLog && rec.Prev > ch.seen
	before.next.Store(n)
	ch.tail, ch.seen = n, rec.Seq
	ch.offer(n)
	if n.end-ch.checked >= int64(ch.core.maxLagBytes)/4 {
		ch.checked = n.end
		for _, ws := range ch.sockets {
			ws.checkLag(n)
		}
	}
}

// offer finds the sockets that a record may be for. They look for themselves.
func (ch *channel) offer(n *node) {
	switch rec := n.rec; {
	case n.gap:
		for _, ws := range ch.sockets {
			ws.offer(n)
		}
	case rec.Targets != nil:
		for _, r := range rec.Targets {
			for _, ws := range ch.byID[r] {
				ws.offer(n)
			}
		}
	case rec.Tags != nil:
		for _, tag := range rec.Tags {
			for _, ws := range ch.byTag[tag] {
				ws.offer(n)
			}
		}
	default:
		for _, ws := range ch.sockets {
			ws.offer(n)
		}
	}
}

func (ch *channel) join(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.sockets = append(ch.sockets, ws)
	for _, tag := range ws.tags {
		ch.byTag[tag] = append(ch.byTag[tag], ws)
	}
	ch.byID[ws.recipient] = append(ch.byID[ws.recipient], ws)
}

func (ch *channel) leave(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.sockets = without(ch.sockets, ws)
	for _, tag := range ws.tags {
		drop(ch.byTag, tag, ws)
	}
	drop(ch.byID, ws.recipient, ws)
}

func drop[K comparable](index map[K][]*Websocket, key K, ws *Websocket) {
	if list := without(index[key], ws); len(list) > 0 {
		index[key] = list
	} else {
		delete(index, key)
	}
}

// without takes ws out of a list, whose order does not matter.
func without(list []*Websocket, ws *Websocket) []*Websocket {
	i := slices.Index(list, ws)
	if i < 0 {
		return list
	}
	last := len(list) - 1
	list[i], list[last] = list[last], nil
	return list[:last]
}

// connected gives the sockets that have one of the tags, all with nil.
func (ch *channel) connected(tags []string) []*Websocket {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if tags == nil {
		return slices.Clone(ch.sockets)
	}
	var list []*Websocket
	for _, tag := range tags {
		for _, ws := range ch.byTag[tag] {
			if !slices.Contains(list, ws) {
				list = append(list, ws)
			}
		}
	}
	return list
}

// newest gives the node behind which a subscription begins, and the position of
// that point, which may be later.
func (ch *channel) newest() (*node, eventlog.Position) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.tail, eventlog.Position{Epoch: ch.tail.rec.Epoch, Seq: ch.seen}
}

// moveCursors notes how far the log has come, and tells quiet clients, so that no
// position grows older than what is retained.
func (ch *channel) moveCursors(ctx context.Context) error {
	head, err := ch.core.log.Head(ctx, ch.name)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	ch.seen = max(ch.seen, head.Seq)
	ch.mu.Unlock()
	for _, ws := range ch.connected(nil) {
		ws.moveCursor(head)
	}
	return nil
}

// horizon is the time before which events are too old to be replayed. A log of our
// own sees to that itself, by a clock that nobody can set.
func (ch *channel) horizon() time.Time {
	if ch.core.ownLog {
		return time.Time{}
	}
	return time.Now().Add(-ch.core.retention)
}

func newChannel(c *core, name string) *channel {
	return &channel{core: c, name: name, byTag: map[string][]*Websocket{}, byID: map[Recipient][]*Websocket{}}
}
