package fanout

import (
	"bytes"
	"math"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

// tail is the newest part of a channel's log in memory: a list of nodes, from which all
// of its readers read. It holds only the newest node; a reader with pending events holds
// the one that it reads next, and whatever is older than all of these is garbage.
//
// mu guards the tail, and the readers of its channel: see [Channel]. It is the outer one
// of the two locks of this package, held only while the readers of a record are found,
// never while user code or I/O runs.
//
//   - newest is the last record that was appended, and seen is at or after it: the log
//     has no record of the channel between them.
//   - chunk is where the frame of the next record goes if that is for everybody. It is
//     nil after a record that is not.
//   - common counts the subscriptions of the channel's readers.
type tail struct {
	maxLag int // bytes

	mu     sync.Mutex
	newest *node
	seen   uint64
	marks  marks
	chunk  *chunk
	common sharedID
	suffix []byte // a buffer
}

// node is a record in the tail. It is encoded once, for all readers.
type node struct {
	rec    *eventlog.Record
	suffix []byte // of its frame; in the chunk if it has one
	before uint64 // everything up to here was appended before
	gap    bool   // records before this one are missing from the tail: the log has them
	end    int64  // bytes appended to the tail up to and including this record
	count  uint64 // records appended to the tail up to and including this one
	next   atomic.Pointer[node]

	chunk *chunk // nil, or where its frame is, from start to stop
	start int
	stop  int
}

// recordOverhead is about what a record costs besides its payload, in bytes.
const recordOverhead = 128

// append adds a record that nothing but, with gap, other records of the log is missing
// before. It is called with mu held.
func (t *tail) append(rec *eventlog.Record, gap bool, readers int) *node {
	last := t.newest
	n := &node{rec: rec, before: t.seen, gap: gap, count: last.count + 1}
	t.encode(n, readers)
	n.end = last.end + int64(len(n.suffix)+recordOverhead)
	last.next.Store(n)
	t.newest, t.seen = n, rec.Seq
	t.marks.update(last, n, int64(t.maxLag))
	return n
}

// encode makes what is sent of a record, if there are readers: one that joins later
// does not read it from the tail. It is called with mu held.
func (t *tail) encode(n *node, readers int) {
	if readers == 0 || n.gap {
		t.chunk = nil
		return
	}
	t.suffix = appendSuffix(t.suffix[:0], n.rec)
	if !n.rec.Everybody() {
		t.chunk = nil
		n.suffix = bytes.Clone(t.suffix)
		return
	}
	if t.chunk == nil || string(t.chunk.id) != string(t.common.id) || !t.chunk.add(n, t.suffix) {
		t.chunk = newChunk(t.chunk, t.common.id, len(t.suffix), readers, t.maxLag)
		t.chunk.add(n, t.suffix)
	}
}

// reset drops everything but the end of the tail. It is called with mu held, when the
// last reader has left.
func (t *tail) reset() {
	t.suffix, t.chunk, t.marks = nil, nil, nil
	t.newest = &node{rec: t.newest.rec, end: t.newest.end, count: t.newest.count}
}

// restart begins the tail anew after a position. It is called with mu held, while no
// reader reads it.
func (t *tail) restart(from eventlog.Position) {
	t.suffix, t.chunk, t.marks = nil, nil, nil
	t.newest, t.seen = &node{rec: &eventlog.Record{Seq: from.Seq, Epoch: from.Epoch}}, from.Seq
}

// head returns the newest node and the position of the log's head, as far as the
// channel knows it: at the node or later.
func (t *tail) head() (*node, eventlog.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest, eventlog.Position{Epoch: t.newest.rec.Epoch, Seq: t.seen}
}

// id returns the id for which frames are made that are shared.
func (t *tail) id() peer.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.common.id
}

// after returns the first record from n on whose Seq is greater than seq, nil if there
// is none yet.
func (n *node) after(seq uint64) *node {
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

// cutAfter ends the list after a node, where what follows is too old to be kept for a
// reader that has fallen behind. Such a reader arrives at the end and reads on from the log.
func cutAfter(n *node) {
	n.next.Store(&node{rec: cut, gap: true, end: n.end + recordOverhead, count: n.count + 1})
}

// cut is the record of such an end.
var cut = &eventlog.Record{Seq: math.MaxUint64}

// place is a place in the tail: what was appended up to there.
type place struct {
	count uint64
	end   int64
}

func (n *node) placeAfter() place { return place{n.count, n.end} }

// placeBefore returns the place before the node, placeAfter the one after it.
func (n *node) placeBefore() place {
	return place{n.count - 1, n.end - int64(len(n.suffix)+recordOverhead)}
}

// minus returns how many records are between two places, and the bytes of their frames. Both
// are 0 if p is not after q.
func (p place) minus(q place) (records int, bytes int64) {
	if p.count <= q.count {
		return 0, 0
	}
	records = int(p.count - q.count)
	return records, max(p.end-q.end-int64(records)*recordOverhead, 0)
}

// marks are the nodes after which the list will be cut, oldest first. They do not keep
// the list in memory.
type marks []mark

type mark struct {
	node weak.Pointer[node]
	end  int64 // of node
}

// update cuts the list where readers would hold more than about limit bytes of it, given
// the newest node and the last one before. It never cuts within a chunk, whose readers
// skip the nodes inside.
func (ms *marks) update(last, newest *node, limit int64) {
	list := *ms
	within := last.chunk != nil && last.chunk == newest.chunk
	if !within && (len(list) == 0 || last.end-list[len(list)-1].end >= limit/8) {
		list = append(list, mark{weak.Make(last), last.end})
	}
	for len(list) > 0 && newest.end-list[0].end > limit {
		if n := list[0].node.Value(); n != nil {
			cutAfter(n)
		}
		list = list[1:]
	}
	*ms = list
}

// chunk holds the frames of consecutive records that are for everybody, for the id that
// most subscriptions have. Its bytes never change once written, so that readers send
// them from here, as many frames at once as there are.
type chunk struct {
	id   peer.ID
	buf  []byte
	last atomic.Pointer[node] // the newest record in it
}

// Sizes of chunks. The first is larger where there are many readers, since each needs
// one more write when a chunk ends; the next ones grow fourfold.
const (
	minChunk       = 4 << 10
	maxChunk       = 256 << 10
	chunkPerReader = 16 // bytes
)

// newChunk returns the chunk that follows prev, which may be nil, with capacity for a
// record. It is small compared to limit, since a slow reader may keep it in memory.
func newChunk(prev *chunk, id peer.ID, suffix, readers, limit int) *chunk {
	size := max(minChunk, readers*chunkPerReader)
	if prev != nil {
		size = max(size, 4*len(prev.buf))
	}
	size = min(size, maxChunk, limit/4)
	return &chunk{id: id, buf: make([]byte, max(size, maxFrameSize(id, suffix)))}
}

// add writes the frame of n, given its suffix, after the frame of the record before, and
// reports whether it fits.
func (c *chunk) add(n *node, suffix []byte) bool {
	start := 0
	if last := c.last.Load(); last != nil {
		start = last.stop
	}
	if start+maxFrameSize(c.id, len(suffix)) > len(c.buf) {
		return false
	}
	stop := start + len(AppendFrame(c.buf[start:start], c.id, suffix))
	n.chunk, n.start, n.stop, n.suffix = c, start, stop, c.buf[stop-len(suffix):stop:stop]
	c.last.Store(n)
	return true
}

// from returns the frames from that of n on, and the last record among them.
func (c *chunk) from(n *node) (frames []byte, last *node) {
	last = c.last.Load()
	return c.buf[n.start:last.stop], last
}
