package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

const (
	// headerHeartbeat asks the server for an event without data after this number of
	// seconds of silence. A server of oRPC ignores it.
	headerHeartbeat = "X-Durable-Iterator-Heartbeat"
	// listenTicks is how often received bytes are checked in an interval.
	listenTicks = 16
	// maxReaderWait is the longest time for which the reader of a connection waits for loops.
	// It is short, because the browser goes on receiving.
	maxReaderWait = 200 * time.Millisecond
	// maxAnswerTime is how long the server may take to answer a request.
	maxAnswerTime = 8 * time.Second
)

// keepAlive ends a connection on which nothing arrives. Browsers send no pings. After an
// interval of silence a request is sent that any server answers, if only by refusing it.
func (c *connection) keepAlive(ctx context.Context, interval time.Duration, calls *transport.ClientPeer) {
	ticker := time.NewTicker(max(interval/listenTicks, 1))
	defer ticker.Stop()
	received := c.Received()
	for silent := 0; ; {
		timeout := min(interval, maxAnswerTime)
		select {
		case <-ctx.Done():
			return
		case <-c.doubt:
			received, timeout = c.Received(), min(timeout, maxDoubt)
		case <-ticker.C:
			if now := c.Received(); now != received {
				received, silent = now, 0
				continue
			}
			if silent++; silent < listenTicks {
				continue
			}
		}
		waiting, stop := context.WithTimeout(ctx, timeout)
		_, _ = calls.Call(waiting, &rpc.Call{Path: []string{"ping"}, Input: rpc.Void{}}) // any answer will do
		stop()
		if c.Received() == received {
			c.Fail(errNoPong)
			return
		}
	}
}

// askHeartbeat asks the server for heartbeats that are more frequent than interval.
func askHeartbeat(header http.Header, interval time.Duration) {
	if interval > 0 {
		header.Set(headerHeartbeat, strconv.Itoa(max(1, int((interval*4/5).Seconds()))))
	}
}
