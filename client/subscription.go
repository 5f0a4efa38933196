package client

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// Headers of a subscription that oRPC does not have. A server of oRPC ignores the first
// one and does not send the others.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// Kinds of events, other than the end of the stream.
const (
	kindMessage    = "message"
	kindUnreadable = "unreadable"
)

// maxEventID is the maximum length of an event id in bytes. It is sent with the next
// subscription, and the server may limit the size of requests.
const maxEventID = 1 << 10

var errEventID = errors.New("its id is too long")

// subscription adds the events of one subscription to the buffer. Its methods are called
// by the reader of the connection, in order.
type subscription struct {
	feed *feed
	// size returns the size of the message that is being delivered.
	size func() int
	// newGap returns a gap of the iterator.
	newGap func(reason GapReason, err error) *GapError
	// again means that an earlier subscription of this iterator was answered, so that
	// events between the two are missing if this one does not resume.
	again bool
	// resumed is the last event id that was sent to the server, or empty.
	resumed string
	// lossy means that an event is missing even if the resume is complete.
	lossy bool
	// retryHint is set to the pause that the last event asks for.
	retryHint *atomic.Int64
	// full is called when the buffer has become full, and ended when the server has
	// ended the subscription.
	full  func()
	ended func(err error)

	// header is the response header. extended means that it has the headers above.
	header   http.Header
	extended bool
	// lastNumericID is the last event id sent to a server of oRPC: ids at or below it
	// mean that its counter has restarted. It is valid if hasNumericID is set.
	lastNumericID uint64
	hasNumericID  bool
}

// open handles the response header.
func (s *subscription) open(header http.Header) {
	s.header = header
	resume := header.Get(headerResume)
	s.extended = resume != ""
	if !s.extended {
		id, err := strconv.ParseUint(s.resumed, 10, 64)
		s.lastNumericID, s.hasNumericID = id, err == nil
	}
	if reason := s.missing(resume); reason != 0 {
		s.feed.gap(s.newGap(reason, nil), s.resumed)
	}
	if position := header.Get(headerPosition); position != "" && s.resumed == "" && len(position) <= maxEventID {
		s.feed.move(position)
	}
}

// missing returns the reason why events are missing before the first one, or 0 if the headers
// do not report that any are.
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

// event handles an event.
func (s *subscription) event(e transport.PeerEvent) {
	if e.Meta.Retry > 0 || e.Meta.RetryNow {
		s.retryHint.Store(int64(min(e.Meta.Retry, maxHint)))
	}
	if len(e.Meta.ID) > maxEventID {
		e.Meta.ID, e.Err = "", errEventID
	}
	switch {
	case e.Kind != kindMessage && e.Kind != kindUnreadable:
		if e.Meta.ID != "" {
			s.feed.move(e.Meta.ID)
		}
		s.ended(e.Err)
	case e.Err != nil:
		s.add(item{gap: s.newGap(GapUnreadable, &EventError{e.Meta.ID, e.Err})}, e.Meta.ID, s.size())
	case s.extended && !e.HasValue: // a cursor event or a heartbeat
		if e.Meta.ID != "" {
			s.feed.move(e.Meta.ID)
		}
	default:
		s.add(item{event: e, newGap: s.newGap}, e.Meta.ID, s.size()+commentsSize(e.Meta.Comments))
	}
}

// commentsSize returns how many bytes comments take in memory, which can be many times what
// they take in their message.
func commentsSize(comments []string) int {
	size := cap(comments) * int(unsafe.Sizeof(""))
	for _, comment := range comments {
		size += len(comment)
	}
	return size
}

func (s *subscription) add(it item, id string, size int) {
	s.checkReset(id)
	if !s.feed.add(it, id, size) {
		s.full()
	}
}

// checkReset detects that a server of oRPC has lost its table of events. Ids then begin at 1
// again, and the id that was resumed from is in the future. The next resume then begins at 0,
// before the first event.
func (s *subscription) checkReset(id string) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || !s.hasNumericID || n > s.lastNumericID {
		return
	}
	s.hasNumericID = false
	s.feed.gap(s.newGap(GapReset, nil), "0")
}
