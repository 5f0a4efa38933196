package durableobject

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

// headerHeartbeat is the header of a subscription in which a client asks for a sign of
// life after so many seconds of silence, since pages in browsers see no pings.
const headerHeartbeat = "X-Durable-Iterator-Heartbeat"

// The bounds of what clients may ask for.
const (
	minHeartbeat = 10 * time.Second
	maxHeartbeat = 60 * time.Second
)

// heartbeatOf returns the interval that a client asks for within the bounds, 0 if it asks
// for none. What is no number is ignored.
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

// heartbeat keeps a socket from being silent. The zero value does nothing.
type heartbeat struct {
	interval atomic.Int64 // nanoseconds; 0: the subscription has not asked for it
	lastSent atomic.Int64 // when something was sent, in nanoseconds since core.start
	due      atomic.Bool  // nothing was sent for the interval
}

// startHeartbeat begins, or with 0 ends, the heartbeat of a subscription.
func (ws *Websocket) startHeartbeat(interval time.Duration) {
	h := &ws.heartbeat
	h.due.Store(false)
	h.lastSent.Store(int64(time.Since(ws.core().start)))
	h.interval.Store(int64(interval))
	if interval > 0 {
		ws.conn.VisitAt(time.Now().Add(interval))
	}
}

// visitHeartbeat wakes the connection if a heartbeat is due, and returns when to look
// again, the zero time for never.
func (ws *Websocket) visitHeartbeat(now time.Time) (again time.Time) {
	h := &ws.heartbeat
	interval := time.Duration(h.interval.Load())
	if interval == 0 {
		return time.Time{}
	}
	next := ws.core().start.Add(time.Duration(h.lastSent.Load()) + interval)
	if now.Before(next) {
		return next
	}
	h.due.Store(true)
	ws.conn.Wake()
	return now.Add(interval)
}

// pullHeartbeat is called after what there is to send was added to b, which had a size
// before. It adds a heartbeat if that is due and there was nothing.
func (ws *Websocket) pullHeartbeat(b *socket.Batch, before int, more socket.More) {
	h := &ws.heartbeat
	if h.interval.Load() == 0 {
		return
	}
	if more == socket.None && len(b.Own) == before && b.Shared == nil && h.due.Load() {
		ws.reader.Heartbeat(b, func() bool { return !ws.outbox.Empty() })
	}
	if len(b.Own) > before || b.Shared != nil {
		h.lastSent.Store(int64(time.Since(ws.core().start)))
		h.due.Store(false)
	}
}
