package durableobject

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
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
	checked int64 // tail.end when lags were last looked at
	chunk   *chunk
	common  commonID
	sockets []*Websocket
	groups  []*group // by writer; nil until a socket has joined
	byTag   map[string][]*Websocket
	byID    map[Recipient][]*Websocket
}

// group is the sockets of a channel that one writer writes to. The channel's mu
// guards it. An event for everybody is not offered to each of them by the
// publisher, but to the group, whose writer offers it.
//
// from is the oldest record that the group was offered and its sockets were not,
// nil if there is none. Every record that is offered to a socket of the group by
// itself is behind from, which has to be offered first: see meet.
type group struct {
	task    *socket.Task
	sockets []*Websocket
	from    *node
	found   []*Websocket // of the writer, while it runs
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
	ch.enchain(n)
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

// enchain puts the frame of a record that is for everybody into the chunk.
func (ch *channel) enchain(n *node) {
	if len(ch.sockets) == 0 || n.gap || !n.rec.Everybody() {
		ch.chunk = nil
		return
	}
	if ch.chunk != nil && string(ch.chunk.id) == string(ch.common.id) {
		if frame := appendEvent(nil, ch.chunk.id, n.rest); ch.chunk.add(n, frame) {
			return
		}
	}
	frame := appendEvent(nil, ch.common.id, n.rest)
	ch.chunk = newChunk(ch.chunk, ch.common.id, len(frame))
	ch.chunk.add(n, frame)
}

// offer finds the sockets that a record may be for. They look for themselves.
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
// sockets there are.
func (ch *channel) offerAll(n *node) {
	for _, g := range ch.groups {
		if g.from == nil && len(g.sockets) > 0 {
			g.from = n
			g.task.Wake()
		}
	}
}

// find offers what the group was offered to its sockets, and sends what they have.
// It runs on the group's writer.
func (ch *channel) find(g *group, flush func(*socket.Conn)) {
	ch.mu.Lock()
	from := g.from
	g.from = nil
	if from != nil {
		for _, ws := range g.sockets {
			if ws.accept(from) {
				g.found = append(g.found, ws)
			}
		}
	}
	ch.mu.Unlock()
	for _, ws := range g.found {
		flush(ws.conn)
	}
	clear(g.found)
	g.found = g.found[:0]
}

// settle offers a socket what its group was offered.
func (ch *channel) settle(ws *Websocket) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if from := ws.group.from; from != nil && ws.accept(from) {
		ws.conn.Wake()
	}
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
			g := &group{}
			g.task = ch.core.pool.NewTask(i, func(flush func(*socket.Conn)) { ch.find(g, flush) })
			ch.groups[i] = g
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
	ws.group.sockets = without(ws.group.sockets, ws)
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
	defer ch.mu.Unlock()
	ch.seen = max(ch.seen, head.Seq)
	for _, ws := range ch.sockets {
		if ws.group.from == nil {
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
	return &channel{core: c, name: name, byTag: map[string][]*Websocket{}, byID: map[Recipient][]*Websocket{}}
}
