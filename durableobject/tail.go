package durableobject

import (
	"math"
	"sync/atomic"
	"weak"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// node is a record in the tail of a channel, the list of what was published
// lately. A record is encoded once; every socket reads it from here.
//
// A socket that still has something to send holds the node that comes next, an idle
// one holds none, and the channel holds the last. What is behind everybody is
// garbage. So that a socket which falls too far behind does not keep all of the list
// alive, the channel cuts the list there: see marks. The socket comes to the cut and
// reads on from the log.
type node struct {
	rec    *eventlog.Record
	rest   []byte // of its message: everything behind the subscription's id; in the chunk if it has one
	before uint64 // up to here the channel had been handed everything
	gap    bool   // what comes before this one has to be read from the log
	end    int64  // bytes that were published on the channel, up to this record
	next   atomic.Pointer[node]

	chunk *chunk // nil, or where the record's frame stands, from start to stop
	start int
	stop  int
}

// behind gives the first record from n on whose Seq is greater than seq, nil if there
// is none yet.
func (n *node) behind(seq uint64) *node {
	for n != nil && n.rec.Seq <= seq {
		if n.chunk != nil {
			if last := n.chunk.last.Load(); last.rec.Seq <= seq {
				n = last
			}
		}
		n = n.next.Load()
	}
	return n
}

// cut stands in the list in place of what was cut off.
var cut = &node{rec: &eventlog.Record{Seq: math.MaxUint64}, gap: true}

// marks are the places where the list is cut when they are far enough behind, oldest
// first. They do not keep the list alive.
type marks []mark

type mark struct {
	node weak.Pointer[node]
	end  int64 // of node
}

// move keeps those who are behind from holding more than about limit bytes, given the
// newest node and the one before. A chunk is never cut: who reads it steps over what is
// within.
func (ms *marks) move(before, newest *node, limit int64) {
	list := *ms
	within := before.chunk != nil && before.chunk == newest.chunk
	if !within && (len(list) == 0 || before.end-list[len(list)-1].end >= limit/8) {
		list = append(list, mark{weak.Make(before), before.end})
	}
	for len(list) > 0 && newest.end-list[0].end > limit {
		if n := list[0].node.Value(); n != nil {
			n.next.Store(cut)
		}
		list = list[1:]
	}
	*ms = list
}

// chunk holds the frames of records that follow each other and are for everybody,
// under the id that most subscriptions have. What was written to it never changes,
// so sockets send it from there, as much as there is at once.
type chunk struct {
	id   peer.ID
	buf  []byte
	last atomic.Pointer[node] // the newest record in it
}

// Sizes of chunks. The first is larger where there are many sockets, since each needs a
// write more for what goes over its end; the next ones grow fourfold.
const (
	minChunk       = 4 << 10
	maxChunk       = 256 << 10
	chunkPerSocket = 16 // bytes
)

// newChunk makes the chunk that follows c, which may be nil, with room for a record.
// It is small beside limit, since a slow socket may keep it.
func newChunk(c *chunk, id peer.ID, rest, sockets, limit int) *chunk {
	room := max(minChunk, sockets*chunkPerSocket)
	if c != nil {
		room = max(room, 4*len(c.buf))
	}
	room = min(room, maxChunk, limit/4)
	return &chunk{id: id, buf: make([]byte, max(room, frameSize(id, rest)))}
}

// add puts the frame of n, given what follows the id, behind that of n's predecessor,
// and has n refer to it. It reports whether there is room.
func (c *chunk) add(n *node, rest []byte) bool {
	start := 0
	if last := c.last.Load(); last != nil {
		start = last.stop
	}
	if start+frameSize(c.id, len(rest)) > len(c.buf) {
		return false
	}
	stop := start + len(appendEvent(c.buf[start:start], c.id, rest))
	n.chunk, n.start, n.stop, n.rest = c, start, stop, c.buf[stop-len(rest):stop:stop]
	c.last.Store(n)
	return true
}

// from gives the frames from that of n on, and the last record among them.
func (c *chunk) from(n *node) (frames []byte, last *node) {
	last = c.last.Load()
	return c.buf[n.start:last.stop], last
}

// commonID finds the id that more than half of the subscriptions have, if there is
// one, by the Boyer-Moore vote.
type commonID struct {
	id    peer.ID
	votes int
}

// firstID is what clients call their first subscription.
var firstID = peer.ID("1")

// vote counts a subscription, unless it has no id: no frame is shared under none.
func (c *commonID) vote(id peer.ID) {
	switch {
	case id == nil:
	case c.votes == 0:
		c.id, c.votes = id, 1
	case string(c.id) == string(id):
		c.votes++
	default:
		c.votes--
	}
}

// recordOverhead is what a record costs besides its payload, roughly.
const recordOverhead = 128

// appendRest appends what a record's message has behind the subscription's id.
// An event of a channel that keeps nothing has no epoch, and no id but what its
// publisher put into its metadata.
func appendRest(dst []byte, rec *eventlog.Record) []byte {
	if rec.Epoch == "" {
		return peer.AppendEventRest(dst, peer.EventMessage, rec.Data, rec.Meta)
	}
	return appendPositioned(dst, rec.Position(), rec.Data, rec.Meta)
}

// appendPositioned appends the rest of a message that has a position as its id.
// Without data it only moves the client's cursor.
func appendPositioned(dst []byte, at eventlog.Position, data, meta []byte) []byte {
	var buf [128]byte
	members := append(at.Append(append(buf[:0], `"id":"`...)), '"')
	if len(meta) > 0 {
		members = append(append(members, ','), meta...)
	}
	return peer.AppendEventRest(dst, peer.EventMessage, data, members)
}

// appendEvent appends the frame of an event, given what follows the id.
func appendEvent(dst []byte, id peer.ID, rest []byte) []byte {
	return peer.JoinEvent(socket.AppendHeader(dst, false, messageSize(id, len(rest))), id, rest)
}

// frameSize is how long the frame of an event is at most, given the size of what
// follows the id.
func frameSize(id peer.ID, rest int) int { return socket.MaxHeader + messageSize(id, rest) }

func messageSize(id peer.ID, rest int) int {
	if id == nil {
		return rest // with "{" in place of ","
	}
	return len(`{"i":`) + len(id) + rest
}
