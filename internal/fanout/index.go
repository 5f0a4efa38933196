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
	byTag       map[string][]member
	byRecipient map[eventlog.Recipient][]member
}

// member is an entry of a list of readers, whose order does not matter. at is where its reader
// keeps the place of the entry in the list, so that the entry can be removed without a search.
type member struct {
	*Reader

	at *int32
}

func (x *index) add(r *Reader, pool *socket.Pool) {
	if x.groups == nil {
		x.byTag, x.byRecipient = map[string][]member{}, map[eventlog.Recipient][]member{}
		for i := range pool.Size() {
			x.groups = append(x.groups, newGroup(r.history.tail, pool, i))
		}
	}
	x.count++
	x.groups[r.writer].add(r)
	if len(r.tags) > 0 {
		r.atTags = make([]int32, len(r.tags))
	}
	for i, tag := range r.tags {
		insert(x.byTag, tag, member{r, &r.atTags[i]})
	}
	insert(x.byRecipient, r.recipient, member{r, &r.atRecipient})
}

func (x *index) remove(r *Reader) {
	x.count--
	x.groups[r.writer].remove(r)
	for i, tag := range r.tags {
		drop(x.byTag, tag, r.atTags[i])
	}
	drop(x.byRecipient, r.recipient, r.atRecipient)
}

// insert adds a member to one of the lists of an index.
func insert[K comparable](lists map[K][]member, key K, m member) {
	list := lists[key]
	*m.at = int32(len(list))
	lists[key] = append(list, m)
}

// drop removes the member at a place of one of the lists of an index. The last one takes its place.
func drop[K comparable](lists map[K][]member, key K, place int32) {
	list := lists[key]
	last := len(list) - 1
	if last == 0 {
		delete(lists, key)
		return
	}
	list[place] = list[last]
	*list[place].at = place
	list[last] = member{}
	lists[key] = list[:last]
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

func (x *index) notifyEach(members []member, n *node) {
	for _, m := range members {
		x.groups[m.writer].notify(m.Reader, n)
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

// all returns the readers.
func (x *index) all() []*Reader {
	list := make([]*Reader, 0, x.count)
	for _, g := range x.groups {
		list = append(list, g.readers...)
	}
	return list
}

// appendTagged appends the readers with a tag to a list.
func (x *index) appendTagged(list []*Reader, tag string) []*Reader {
	members := x.byTag[tag]
	list = slices.Grow(list, len(members))
	for _, m := range members {
		list = append(list, m.Reader)
	}
	return list
}
