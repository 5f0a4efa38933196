//go:build !js

package client

import (
	"context"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// maxReaderWait is the longest time for which the reader of a connection waits for loops. It is
// well below the time after which servers close a socket that accepts nothing, 10 s by default.
const maxReaderWait = 2 * time.Second

// keepAlive pings the server at each interval, and ends a connection that stays silent.
func (c *connection) keepAlive(ctx context.Context, interval time.Duration, _ *transport.ClientPeer) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		timeout := interval
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.doubt:
			timeout = min(interval, maxDoubt)
		}
		waiting, stop := context.WithTimeout(ctx, timeout)
		received := c.Received()
		err := c.Ping(waiting)
		stop()
		if err != nil && c.Received() == received { // the pong may be waiting behind a large message
			c.Fail(errNoPong)
			return
		}
	}
}

// askHeartbeat does nothing, because pings detect dead connections.
func askHeartbeat(http.Header, time.Duration) {}
