package durableobject

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// headerHeartbeat is the header of a subscription with which a client requests a heartbeat after a
// number of seconds of silence, because pages in browsers cannot detect pings.
const headerHeartbeat = "X-Durable-Iterator-Heartbeat"

// The limits of the interval.
const (
	minHeartbeat = 10 * time.Second
	maxHeartbeat = 60 * time.Second
)

// heartbeatOf returns the interval that a client requests, within the limits, or 0 if it requests
// none. A value that is not a number is ignored.
func heartbeatOf(header http.Header) time.Duration {
	value := header.Get(headerHeartbeat)
	if value == "" { // most clients ask for none, and an error is not free
		return 0
	}
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // the value is the largest then
		return 0
	}
	seconds = min(seconds, uint64(maxHeartbeat/time.Second))
	return max(time.Duration(seconds)*time.Second, minHeartbeat)
}

// heartbeat determines when a socket must send something. The zero value does nothing. Times are
// durations since base.start.
type heartbeat struct {
	interval atomic.Int64 // nanoseconds; 0 if the subscription has not requested a heartbeat
	lastSent atomic.Int64 // when something was sent, in nanoseconds
	due      atomic.Bool  // nothing was sent for an interval
}

// begin begins, or with 0 ends, the heartbeat of a subscription.
func (h *heartbeat) begin(interval, now time.Duration) {
	h.due.Store(false)
	h.lastSent.Store(int64(now))
	h.interval.Store(int64(interval))
}

// stop ends the heartbeat.
func (h *heartbeat) stop() { h.interval.Store(0) }

// runs reports whether there is a heartbeat.
func (h *heartbeat) runs() bool { return h.interval.Load() != 0 }

// visit makes the heartbeat due if nothing was sent for an interval. It returns when it must be called
// again, or 0 for never.
func (h *heartbeat) visit(now time.Duration) (due bool, again time.Duration) {
	interval := time.Duration(h.interval.Load())
	if interval == 0 {
		return false, 0
	}
	if next := time.Duration(h.lastSent.Load()) + interval; now < next {
		return false, next
	}
	h.due.Store(true)
	return true, now + interval
}

// sent records that something was sent.
func (h *heartbeat) sent(now time.Duration) {
	h.lastSent.Store(int64(now))
	h.due.Store(false)
}
