//go:build !js

package client

import (
	"context"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/transport"
)

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
		if err != nil && c.Received() == received { // a pong has to wait for the end of a large message
			c.Fail(errNoPong)
			return
		}
	}
}

// askHeartbeat does nothing: pings find out whether the server is there.
func askHeartbeat(http.Header, time.Duration) {}
