package durableobject

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Results of calls in [Stats] that are not the code of an error.
const (
	// ResultOK is the result of a call that has succeeded.
	ResultOK = "OK"
	// ResultOther is the result of calls whose error code is not among the first 64.
	ResultOther = "OTHER"
)

const (
	// maxCodes is the maximum number of error codes of methods that are counted separately.
	maxCodes = 64
	// firstPrivateCode is the first close code without a defined meaning. Clients may send
	// any of these, so they are counted together.
	firstPrivateCode = 3000
)

// counters has the counts of a namespace that are not kept by its channels and writers. Frequent
// events are counted separately by each of these, and summed by Stats.
type counters struct {
	evicted     atomic.Uint64 // events published in channels that have been evicted
	unpublished atomic.Uint64 // failed calls of PublishEvent
	fresh       atomic.Uint64 // subscriptions that do not resume
	complete    atomic.Uint64
	truncated   atomic.Uint64
	calls       []callCounters // by the writer of the socket

	mu     sync.Mutex
	closes map[int]uint64
}

// callCounters count the calls of the sockets of one writer, by result.
type callCounters struct {
	ok atomic.Uint64

	mu     sync.Mutex
	failed map[string]uint64

	_ [64]byte // prevents writers on different processors from sharing a cache line
}

func newCounters(writers int) counters {
	return counters{calls: make([]callCounters, writers), closes: map[int]uint64{}}
}

// subscribed counts a subscription, which resumes an earlier one if it has its last event id.
func (c *counters) subscribed(lastEventID string, truncated bool) {
	switch {
	case lastEventID == "":
		c.fresh.Add(1)
	case truncated:
		c.truncated.Add(1)
	default:
		c.complete.Add(1)
	}
}

// closed counts a socket that has closed with a code. byPeer is set if the client has sent the code.
func (c *counters) closed(code int, byPeer bool) {
	if byPeer {
		code = min(code, firstPrivateCode)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closes[code]++
}

// called counts a call of a socket with this writer.
func (c *counters) called(writer int, result string) { c.calls[writer].add(result) }

// resultOf returns the result as which a call is counted: ResultOK or a code.
func resultOf(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return ResultOK
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))):
		return string(rpc.CodeClientClosedRequest)
	}
	return string(rpc.CodeOf(err))
}

func (c *callCounters) add(result string) {
	if result == ResultOK {
		c.ok.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = map[string]uint64{}
	}
	if _, known := c.failed[result]; !known && len(c.failed) >= maxCodes {
		result = ResultOther
	}
	c.failed[result]++
}
