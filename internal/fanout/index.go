package fanout

import (
	"slices"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// index finds the readers of a channel by the audience of a record. It is guarded by the tail's
// mu.
//
//   - A reader is in the group of its writer, in byTag for each of its tags and in
//     byRecipient, from Join until Leave.
//   - groups is nil until a reader has joined.
type index struct {
	count       int
	groups      []*group // by writer
	byTag       map[string][]*Reader
	byRecipient map[eventlog.Recipient][]*Reader
}

func (x *index) add(r *Reader, pool *socket.Pool) {
	if x.groups == nil {
		x.byTag, x.byRecipient = map[string][]*Reader{}, map[eventlog.Recipient][]*Reader{}
		for i := range pool.Size() {
			x.groups = append(x.groups, newGroup(r.history.tail, pool, i))
		}
	}
	x.count++
	g := x.groups[r.writer]
	g.readers = append(g.readers, r)
	for _, tag := range r.tags {
		x.byTag[tag] = append(x.byTag[tag], r)
	}
	x.byRecipient[r.recipient] = append(x.byRecipient[r.recipient], r)
}

func (x *index) remove(r *Reader) {
	x.count--
	x.groups[r.writer].remove(r)
	for _, tag := range r.tags {
		drop(x.byTag, tag, r)
	}
	drop(x.byRecipient, r.recipient, r)
}

// drop removes a reader from one of the lists of an index, whose order does not matter.
func drop[K comparable](lists map[K][]*Reader, key K, r *Reader) {
	list := lists[key]
	i, last := slices.Index(list, r), len(list)-1
	switch {
	case i < 0:
	case last == 0:
		delete(lists, key)
	default:
		list[i], list[last] = list[last], nil
		lists[key] = list[:last]
	}
}

// notify notifies the readers that a record may be for. They check whether it is when they read
// it. If it is for everybody, notify takes the same time for any number of readers.
func (x *index) notify(n *node) {
	switch rec := n.rec; {
	case n.gap: // the missing records may be for any reader
		x.enqueue(n)
	case rec.Targets != nil:
		for _, target := range rec.Targets {
			x.notifyEach(x.byRecipient[target], n)
		}
	case rec.Tags != nil:
		for _, tag := range rec.Tags {
			x.notifyEach(x.byTag[tag], n)
		}
	default:
		x.enqueue(n)
	}
}

func (x *index) enqueue(n *node) {
	for _, g := range x.groups {
		g.enqueue(n)
	}
}

func (x *index) notifyEach(readers []*Reader, n *node) {
	for _, r := range readers {
		x.groups[r.writer].notify(r, n)
	}
}

// announce makes the readers that have read everything send a cursor event.
func (x *index) announce(n *node) {
	for _, g := range x.groups {
		if g.idle() {
			for _, r := range g.readers {
				r.announce(n)
			}
		}
	}
}

// forget drops records of which readers have not been notified yet. No reader is reading.
func (x *index) forget() {
	for _, g := range x.groups {
		g.forget()
	}
}

// leave ends all readers. They remain in the index until [Channel.Leave].
func (x *index) leave() {
	for _, g := range x.groups {
		for _, r := range g.readers {
			r.leave()
		}
	}
}

// sinks returns the sinks of the readers with one of the tags, or of all readers if tags is nil.
func (x *index) sinks(tags []string) []Sink {
	var list []Sink
	add := func(readers []*Reader) {
		for _, r := range readers {
			if len(tags) < 2 || !slices.Contains(list, r.sink) {
				list = append(list, r.sink)
			}
		}
	}
	if tags == nil {
		list = make([]Sink, 0, x.count)
		for _, g := range x.groups {
			add(g.readers)
		}
	}
	for _, tag := range tags {
		add(x.byTag[tag])
	}
	return list
}
