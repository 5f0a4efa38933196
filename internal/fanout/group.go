package fanout

import "github.com/go-orpc/durable-iterator/internal/socket"

// group has the readers of a channel whose connections have the same writer. A publisher enqueues
// a record for everybody in the group, and the writer scans the readers. The fields are guarded by
// the tail's mu, which a scan releases repeatedly, so that a publisher waits for a few readers at
// most.
//
//   - pending is the oldest record that was enqueued since the scan began, or nil.
//   - scanning is the record with which the scan began, or nil if there is no scan. The first
//     scanned readers were notified of it, the others not yet.
//   - Both are in the current list of the tail: see forget.
//   - A reader that is notified on its own must first be notified of scanning and pending: see
//     notify.
type group struct {
	tail     *tail
	task     *socket.Task
	readers  []*Reader
	pending  *node
	scanning *node
	scanned  int
	found    []*Reader // used by the writer during a scan
}

// scanSize is the number of readers that are scanned before the lock is released.
const scanSize = 64

func newGroup(t *tail, pool *socket.Pool, writer int) *group {
	g := &group{tail: t}
	g.task = pool.NewTask(writer, g.scan)
	return g
}

// enqueue makes the writer notify the readers of a record and of those after it.
func (g *group) enqueue(n *node) {
	if g.pending == nil && len(g.readers) > 0 {
		g.pending = n
		g.task.Wake()
	}
}

// forget drops enqueued records and ends the scan. It is called when the tail begins a new list;
// otherwise, while pending is a node of the old list, no record of the new one would be enqueued.
func (g *group) forget() { g.pending, g.scanning = nil, nil }

// idle reports whether the readers have been notified of all records.
func (g *group) idle() bool { return g.pending == nil && g.scanning == nil }

// notify wakes a reader that has read everything if n, or a record that was enqueued for its
// group, may be for it. n may be nil.
func (g *group) notify(r *Reader, n *node) {
	for _, n := range [...]*node{g.scanning, g.pending, n} {
		if n != nil && r.notify(n) {
			r.sink.Wake()
			return
		}
	}
}

// scan notifies the readers of enqueued records and flushes their connections. It runs on the
// group's writer.
func (g *group) scan(flush func(*socket.Conn)) {
	for more := true; more; {
		more = g.scanSome()
		for _, r := range g.found {
			r.sink.Flush(flush)
		}
		clear(g.found)
		g.found = g.found[:0]
	}
}

// scanSome continues the scan, or begins one, and reports whether it is incomplete.
func (g *group) scanSome() (more bool) {
	g.tail.mu.Lock()
	defer g.tail.mu.Unlock()
	if g.scanning == nil {
		g.scanning, g.pending, g.scanned = g.pending, nil, 0
	}
	if g.scanning == nil {
		return false
	}
	end := min(g.scanned+scanSize, len(g.readers))
	for _, r := range g.readers[g.scanned:end] {
		if r.notify(g.scanning) {
			g.found = append(g.found, r)
		}
	}
	g.scanned = end
	if more = end < len(g.readers); !more {
		g.scanning = nil
	}
	return more
}

func (g *group) add(r *Reader) {
	r.atGroup = int32(len(g.readers))
	g.readers = append(g.readers, r)
}

// remove removes a reader. The last reader takes its place, which the scan may have passed, so it
// is notified now.
func (g *group) remove(r *Reader) {
	last := len(g.readers) - 1
	moved := g.readers[last]
	g.readers[r.atGroup], g.readers[last] = moved, nil
	moved.atGroup = r.atGroup
	g.readers = g.readers[:last]
	g.scanned = min(g.scanned, last)
	g.notify(moved, nil)
}
