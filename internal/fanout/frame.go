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
// with its last subscription.
//
//   - counts has the number of subscriptions of each id that has any, and byCount the ids with
//     each number.
//   - most is the greatest number in byCount, or 0 if there is none.
//   - id is an id with that number of subscriptions; it is arbitrary if most is 0.
type sharedID struct {
	id      peer.ID
	counts  map[string]int
	byCount map[int]map[string]struct{}
	most    int
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
		s.counts, s.byCount = map[string]int{}, map[int]map[string]struct{}{}
	}
	before := s.counts[string(id)]
	after := before + by
	s.move(string(id), before, after)
	s.most = max(s.most, after)
	if s.byCount[s.most] == nil {
		s.most = after // id was the only one with that number
	}
	if s.counts[string(s.id)] == s.most {
		return
	}
	for other := range s.byCount[s.most] {
		s.id = peer.ID(other)
		return
	}
}

// move changes the number of subscriptions of an id.
func (s *sharedID) move(id string, before, after int) {
	ids := s.byCount[before]
	delete(ids, id)
	if len(ids) == 0 {
		delete(s.byCount, before)
	} else {
		ids = nil
	}
	if after == 0 {
		delete(s.counts, id)
		return
	}
	s.counts[id] = after
	switch {
	case s.byCount[after] != nil:
		ids = s.byCount[after]
	case ids == nil: // otherwise the empty set is used again
		ids = map[string]struct{}{}
	}
	ids[id] = struct{}{}
	s.byCount[after] = ids
}
