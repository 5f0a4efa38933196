package durableobject

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

// Recipient names a client that an event is for: see [WithTargetRecipients].
type Recipient = eventlog.Recipient

// channel is the core of an object, without its Go types: a log, the tail of it
// in memory, and the sockets that read it. It lives from first use until it has
// been idle for a while; see life.go.
type channel struct {
	core *core
	name string

	pins    atomic.Int64           // users; see life.go
	touched atomic.Int64           // Unix nanoseconds at which the last user left
	opened  once                   // of the channel
	hubOnce once                   // of the hub
	hub     any                    // the application's object, after hubOnce
	maker   *making                // of the hub, while it is made; see making.go
	handOn  func(*eventlog.Record) // deliver, made once
	pages   pages

	// mu guards the fields below. It is held for the time it takes to look at
	// the sockets that an event is for, never while user code or I/O runs. A
	// socket's mu may be taken while it is held, never the other way round.
	//
	//   - tail is the newest record that the channel was handed. Every record of
	//     the channel up to it was offered to each socket that it is for.
	//   - seen is at tail or later: the log has no record of the channel between.
	//   - A socket is in sockets, in the group of its writer, and in byTag and byID
	//     under each of its tags and its recipient, from join to leave.
	//   - chunk is where the frame of the next record goes that is for everybody;
	//     nil after one that is not.
	mu      sync.Mutex
	tail    *node
	seen    uint64
	marks   marks
	chunk   *chunk
	common  commonID
	rest    []byte // a buffer, while there are sockets
	sockets []*Websocket
	groups  []*group // by writer; nil until a socket has joined
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
		return log.Append(ctx, ch.name, rec, ch.handOn)
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	rec.Seq, rec.Prev = ch.tail.rec.Seq+1, ch.tail.rec.Seq
	ch.append(rec)
	return nil
}

// deliver is called by the log, in order of Seq, with each record that was stored.
func (ch *channel) deliver(rec *eventlog.Record) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if rec.Seq > ch.tail.rec.Seq {
		ch.append(rec)
	}
}

// append is called with mu held.
func (ch *channel) append(rec *eventlog.Record) {
	before := ch.tail
	n := &node{rec: rec, before: ch.seen}
	// Nobody else writes to a log of our own, so there Prev tells nothing new.
	n.gap = !ch.core.ownLog && rec.Prev > ch.seen
	ch.encode(n)
	n.end = before.end + int64(len(n.rest)+recordOverhead)
	before.next.Store(n)
	ch.tail, ch.seen = n, rec.Seq
	ch.marks.move(before, n, int64(ch.core.maxLagBytes))
	ch.offer(n)
}

// encode makes what sockets are sent of a record, if there are any: one that connects
// later does not get it from the tail. The frame of a record that is for everybody
// goes into the chunk. It is called with mu held.
func (ch *channel) encode(n *node) {
	if len(ch.sockets) == 0 || n.gap {
		ch.chunk = nil
		return
	}
	ch.rest = appendRest(ch.rest[:0], n.rec)
	if !n.rec.Everybody() {
		ch.chunk = nil
		n.rest = bytes.Clone(ch.rest)
		return
	}
	if ch.chunk == nil || string(ch.chunk.id) != string(ch.common.id) || !ch.chunk.add(n, ch.rest) {
		ch.chunk = newChunk(ch.chunk, ch.common.id, len(ch.rest), len(ch.sockets), ch.core.maxLagBytes)
		ch.chunk.add(n, ch.rest)
	}
}

// offer finds the sockets that a record may be for. They look for themselves. It is
// called with mu held.
func (ch *channel) offer(n *node) {
	switch rec := n.rec; {
	case n.gap:
		ch.offerAll(n)
	case rec.Targets != nil:
		for _, r := range rec.Targets {
			for _, ws := range ch.byID[r] {
				ws.meet(n)
			}
		}
	case rec.Tags != nil:
		for _, tag := range rec.Tags {
			for _, ws := range ch.byTag[tag] {
				ws.meet(n)
			}
		}
	default:
		ch.offerAll(n)
	}
}

// offerAll offers a record to all groups, in time that does not depend on how many
// sockets there are. It is called with mu held.
func (ch *channel) offerAll(n *node) {
	for _, g := range ch.groups {
		g.offer(n)
	}
}

// settle offers a socket what its group was offered.
func (ch *channel) settle(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ws.meet(nil)
}

// sharedID is the id that frames are made for which several sockets share.
func (ch *channel) sharedID() peer.ID {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.common.id
}

// voted counts the id of a new subscription.
func (ch *channel) voted(id peer.ID) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.common.vote(id)
}

func (ch *channel) join(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.sockets = append(ch.sockets, ws)
	if ch.groups == nil {
		ch.groups = make([]*group, ch.core.pool.Size())
		for i := range ch.groups {
			ch.groups[i] = newGroup(ch, i)
		}
	}
	ws.group = ch.groups[ws.conn.Writer()]
	ws.group.sockets = append(ws.group.sockets, ws)
	for _, tag := range ws.tags {
		ch.byTag[tag] = append(ch.byTag[tag], ws)
	}
	ch.byID[ws.recipient] = append(ch.byID[ws.recipient], ws)
}

func (ch *channel) leave(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.sockets = without(ch.sockets, ws)
	ws.group.remove(ws)
	for _, tag := range ws.tags {
		drop(ch.byTag, tag, ws)
	}
	drop(ch.byID, ws.recipient, ws)
	if len(ch.sockets) == 0 { // nobody reads the tail: keep no more of it than its end
		ch.rest, ch.chunk, ch.marks = nil, nil, nil
		ch.tail = &node{rec: ch.tail.rec, end: ch.tail.end}
	}
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
	defer ch.mu.Unlock()
	ch.seen = max(ch.seen, head.Seq)
	for _, ws := range ch.sockets {
		if !ws.group.pending() {
			ws.moveCursor(head)
		}
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
	ch := &channel{core: c, name: name, byTag: map[string][]*Websocket{}, byID: map[Recipient][]*Websocket{}}
	ch.common.id = firstID
	ch.handOn = ch.deliver
	return ch
}
