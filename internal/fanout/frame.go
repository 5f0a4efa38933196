package fanout

import (
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// AppendFrame appends the frame of an event with this suffix, the part of the message after the
// subscription's id, which is the same for all subscriptions. See [peer.AppendEventRest].
func AppendFrame(dst []byte, id peer.ID, suffix []byte) []byte {
	return peer.JoinEvent(socket.AppendHeader(dst, false, messageSize(id, len(suffix))), id, suffix)
}

// maxFrameSize returns the maximum length of the frame of an event with a suffix of this length.
func maxFrameSize(id peer.ID, suffix int) int { return socket.MaxHeader + messageSize(id, suffix) }

func messageSize(id peer.ID, suffix int) int {
	if id == nil {
		return suffix // with "{" in place of ","
	}
	return len(`{"i":`) + len(id) + suffix
}

// appendSuffix appends the suffix of a record's frame. If records are not stored, a record has no
// epoch, and only the event id in its publisher's metadata.
func appendSuffix(dst []byte, rec *eventlog.Record) []byte {
	if rec.Epoch == "" {
		return peer.AppendEventRest(dst, peer.EventMessage, rec.Data, rec.Meta)
	}
	return appendPositionedSuffix(dst, rec.Position(), rec.Data, rec.Meta)
}

// appendPositionedSuffix appends the suffix of an event whose id is a position. Without
// data it is a cursor event, which only moves the client's cursor.
func appendPositionedSuffix(dst []byte, at eventlog.Position, data, meta []byte) []byte {
	var buf [128]byte
	members := append(at.Append(append(buf[:0], `"id":"`...)), '"')
	if len(meta) > 0 {
		members = append(append(members, ','), meta...)
	}
	return peer.AppendEventRest(dst, peer.EventMessage, data, members)
}

// firstID is the id of a client's first subscription.
var firstID = peer.ID("1")

// sharedID tracks the id that most of the current subscriptions have, for which shared frames are
// created. Each operation takes constant time, whatever ids clients choose, and an id is forgotten
// with its last subscription. To range over a map would take time for all the ids that there have
// ever been at the same time, so the maps are only accessed by key.
//
//   - counts has the ids that have subscriptions. byCount has the first of those with each
//     number of subscriptions; the others are linked to it.
//   - most is the greatest number in byCount, or 0 if there is none.
//   - id is an id with that number of subscriptions; it is arbitrary if most is 0.
type sharedID struct {
	id      peer.ID
	counts  map[string]*idCount
	byCount map[int]*idCount
	most    int
}

// idCount is an id with its number of subscriptions. prev and next are other ids with that number.
type idCount struct {
	id         string
	count      int
	prev, next *idCount
}

// add counts a subscription, unless it has no id: frames without an id are not shared.
func (s *sharedID) add(id peer.ID) { s.change(id, +1) }

// remove undoes add.
func (s *sharedID) remove(id peer.ID) { s.change(id, -1) }

func (s *sharedID) change(id peer.ID, by int) {
	if id == nil {
		return
	}
	if s.counts == nil {
		s.counts, s.byCount = map[string]*idCount{}, map[int]*idCount{}
	}
	c := s.counts[string(id)]
	if c == nil {
		c = &idCount{id: string(id)}
		s.counts[c.id] = c
	} else {
		s.unlink(c)
	}
	if c.count += by; c.count > 0 {
		s.link(c)
	} else {
		delete(s.counts, c.id)
	}
	s.most = max(s.most, c.count)
	if s.byCount[s.most] == nil {
		s.most = c.count // it was the only one with that number
	}
	s.choose()
}

// choose changes id if another one has more subscriptions.
func (s *sharedID) choose() {
	top := s.byCount[s.most]
	if top == nil {
		return
	}
	if c := s.counts[string(s.id)]; c == nil || c.count < s.most {
		s.id = peer.ID(top.id)
	}
}

// link makes an id the first one with its number of subscriptions.
func (s *sharedID) link(c *idCount) {
	c.prev, c.next = nil, s.byCount[c.count]
	if c.next != nil {
		c.next.prev = c
	}
	s.byCount[c.count] = c
}

// unlink undoes link.
func (s *sharedID) unlink(c *idCount) {
	switch {
	case c.prev != nil:
		c.prev.next = c.next
	case c.next != nil:
		s.byCount[c.count] = c.next
	default:
		delete(s.byCount, c.count)
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
}
