package client

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/rpc"
)

// The headers of a subscription that go beyond oRPC. A server of oRPC ignores the
// first and knows none of the others.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// kindMessage is an event that is not the end of the stream.
const kindMessage = "message"

// subscription takes what one subscription brings into the buffer. Its methods are
// called by the reader of the connection, in order.
type subscription struct {
	buffer *buffer
	// again says that a subscription of this iterator was answered before: what was
	// published between the two matters.
	again bool
	// resumed is the last event id that the server was given, empty for none.
	resumed string
	// lossy says that something is missing even if the resume is complete.
	lossy bool
	// retry is set to the pause that the last event has asked for.
	retry *atomic.Int64
	// full is called when there is no room for an event any more, and ended when
	// the server has ended the subscription.
	full  func()
	ended func(err error)

	// extended says that the server has answered with the headers above.
	extended bool
	// floor is what the ids of a server without them are above, as it has counted
	// on since. Without hasFloor nothing is known.
	floor    uint64
	hasFloor bool
}

// open takes the header of the answer.
func (s *subscription) open(header http.Header) {
	resume := header.Get(headerResume)
	s.extended = resume != ""
	if !s.extended {
		floor, err := strconv.ParseUint(s.resumed, 10, 64)
		s.floor, s.hasFloor = floor, err == nil
	}
	if reason := s.missing(resume); reason != 0 {
		s.buffer.gap(s, reason, s.resumed)
	}
	if position := header.Get(headerPosition); position != "" && s.resumed == "" {
		s.buffer.move(s, position)
	}
}

// missing tells why events are missing before the first one, 0 if none are. A
// server without the headers does not say.
func (s *subscription) missing(resume string) GapReason {
	switch resume {
	case "truncated":
		return GapTruncated
	case "", "complete":
		if s.lossy {
			return GapNoResume
		}
		return 0
	}
	if s.again || s.resumed != "" {
		return GapNoResume
	}
	return 0
}

// event takes an event.
func (s *subscription) event(e rpc.PeerEvent) {
	if e.Meta.Retry > 0 || e.Meta.RetryNow {
		s.retry.Store(int64(min(e.Meta.Retry, maxHint)))
	}
	switch {
	case e.Kind != kindMessage:
		if e.Meta.ID != "" {
			s.buffer.move(s, e.Meta.ID)
		}
		s.ended(e.Err)
	case s.extended && !e.HasValue && e.Meta.ID != "":
		s.buffer.move(s, e.Meta.ID)
	default:
		s.checkReset(e.Meta.ID)
		if !s.buffer.add(s, e) {
			s.full()
		}
	}
}

// checkReset finds out that a server of oRPC has lost its table of events: ids then
// begin at 1, and it takes the id that was resumed from for one that is yet to come.
// The resume after that begins at 0, which is before its first event.
func (s *subscription) checkReset(id string) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || !s.hasFloor || n > s.floor {
		return
	}
	s.hasFloor = false
	s.buffer.gap(s, GapReset, "0")
}
