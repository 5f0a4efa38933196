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

// tail is the newest part of a channel's log in memory: a linked list of nodes from which readers
// read. It refers only to the newest node; a reader with unread events refers to the one that it
// reads next. Older nodes are garbage.
//
// mu guards the tail and the readers of its channel: see [Channel]. It is the outer of the two
// locks of this package, and never held during user code or I/O. It is held while a record is
// appended, its frame encoded and its readers found, which takes time for the readers with its tags
// or for its targets; while a scan notifies 64 readers; and while a reader joins, leaves, subscribes
// or ends a subscription, which takes time for its tags at most. It is held for all readers of the
// channel while their list is copied, while cursor events are announced, and when a feed is lost.
//
//   - newest is the last record that was appended. seen is at or after it, and the log has no
//     records of the channel between them.
//   - chunk is where the frame of the next record is written if that is for everybody. It is nil
//     after a record that is not.
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
	suffix []byte // of its frame; a part of the chunk if there is one
	before uint64 // all records up to this Seq were appended before
	gap    bool   // records before this one are missing from the tail, but the log has them
	end    int64  // number of bytes appended to the tail up to and including this record
	count  uint64 // number of records appended to the tail up to and including this one
	next   atomic.Pointer[node]

	chunk *chunk // has its frame, from start to stop; may be nil
	start int
	stop  int
}

// recordOverhead is the approximate memory of a record in addition to its payload, in bytes.
const recordOverhead = 128

// append adds a record. gap is set if records of the log before it are missing from the tail. It is
// called with mu held.
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

// encode encodes the frame of a record, if there are readers: one that joins later does not read it
// from the tail. It is called with mu held.
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

// reset drops everything but the end of the tail. It is called with mu held when the last reader
// has left.
func (t *tail) reset() {
	t.suffix, t.chunk, t.marks = nil, nil, nil
	t.newest = &node{rec: t.newest.rec, end: t.newest.end, count: t.newest.count}
}

// restart begins a new tail after a position. It is called with mu held while no reader reads.
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

// id returns the id of shared frames.
func (t *tail) id() peer.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.common.id
}

// after returns the first record from n on whose Seq is greater than seq, or nil if there is none
// yet.
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

// cutAfter ends the list after a node, because the following nodes are too old to be kept for a
// reader that has fallen behind. When the reader reaches the end, it continues from the log.
func cutAfter(n *node) {
	n.next.Store(&node{rec: cut, gap: true, end: n.end + recordOverhead, count: n.count + 1})
}

// cut is the record of the node at such an end.
var cut = &eventlog.Record{Seq: math.MaxUint64}

// place is a position in the tail: the records and bytes appended before it.
type place struct {
	count uint64
	end   int64
}

func (n *node) placeAfter() place { return place{n.count, n.end} }

// placeBefore returns the place before the node, placeAfter the one after it.
func (n *node) placeBefore() place {
	return place{n.count - 1, n.end - int64(len(n.suffix)+recordOverhead)}
}

// minus returns the number of records between two places, and the bytes of their frames. Both are 0
// if p is not after q.
func (p place) minus(q place) (records int, bytes int64) {
	if p.count <= q.count {
		return 0, 0
	}
	records = int(p.count - q.count)
	return records, max(p.end-q.end-int64(records)*recordOverhead, 0)
}

// marks are the nodes after which the list will be cut, oldest first. They do not keep the list in
// memory.
type marks []mark

type mark struct {
	node weak.Pointer[node]
	end  int64 // of node
}

// update cuts the list so that readers keep at most about limit bytes of it in memory. newest is
// the newest node, and last the one before. It does not cut within a chunk, because readers of the
// chunk skip the nodes inside.
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

// chunk has the frames of consecutive records for everybody, with the id that most subscriptions
// have. Written bytes never change, so readers send them without copying, as many frames at once as
// there are.
type chunk struct {
	id   peer.ID
	buf  []byte
	last atomic.Pointer[node] // the newest record in it
}

// Sizes of chunks. The first chunk is larger if there are many readers, because each of them needs
// another write when a chunk ends. The size of the next ones increases fourfold.
const (
	minChunk       = 4 << 10
	maxChunk       = 256 << 10
	chunkPerReader = 16 // bytes
)

// newChunk returns the chunk after prev, which may be nil, with capacity for a record. It is small
// compared to limit, because a slow reader may keep it in memory.
func newChunk(prev *chunk, id peer.ID, suffix, readers, limit int) *chunk {
	size := max(minChunk, readers*chunkPerReader)
	if prev != nil {
		size = max(size, 4*len(prev.buf))
	}
	size = min(size, maxChunk, limit/4)
	return &chunk{id: id, buf: make([]byte, max(size, maxFrameSize(id, suffix)))}
}

// add writes the frame of n, which has this suffix, after the previous frame, and reports whether
// there was capacity for it.
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

// from returns the frames from that of n on, and the last record of these.
func (c *chunk) from(n *node) (frames []byte, last *node) {
	last = c.last.Load()
	return c.buf[n.start:last.stop], last
}
