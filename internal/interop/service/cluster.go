package service

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// cluster is several servers whose chat rooms share a log, behind a balancer that sends
// each request to the next one. Rooms that keep no events are on the first server, since
// they have no shared log.
type cluster struct {
	nodes    []*server
	logs     []Log
	closeAll func() error // closes the storage of the logs
	counters *counters    // shared by all nodes, as in a database
	turn     atomic.Uint64
}

// Log is one node's handle on a shared log.
type Log interface {
	eventlog.Shared
	Close() error
}

// Opener opens a log for each of n nodes, which share their content. closeAll is called
// after the logs were closed.
type Opener func(ctx context.Context, n int, retention time.Duration) (logs []Log, closeAll func() error, err error)

// SharedMemory is an [Opener] of logs in memory.
func SharedMemory(_ context.Context, n int, retention time.Duration) (logs []Log, closeAll func() error, err error) {
	log := eventlogtest.NewSharedMemory(&eventlog.MemoryOptions{Retention: retention})
	for range n {
		logs = append(logs, log.Open())
	}
	return logs, func() error { return nil }, nil
}

func newCluster(ctx context.Context, o options) (*cluster, error) {
	c := &cluster{counters: newCounters()}
	var err error
	if c.logs, c.closeAll, err = o.open(ctx, o.nodes, o.retention); err != nil {
		return nil, err
	}
	for _, log := range c.logs {
		o.log, o.cluster = log, c
		node := newServer(o)
		o.plain = node.plain
		c.nodes = append(c.nodes, node)
	}
	return c, nil
}

// ServeHTTP implements [http.Handler].
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.nodes[c.turn.Add(1)%uint64(len(c.nodes))].ServeHTTP(w, r)
}

func (c *cluster) drain() {
	for _, n := range c.nodes {
		n.drain()
	}
}

func (c *cluster) shutdown(ctx context.Context) error {
	var errs []error
	for i, n := range c.nodes {
		errs = append(errs, n.shutdown(ctx), c.logs[i].Close())
	}
	return errors.Join(append(errs, c.closeAll())...)
}

// ids returns the ids of the sockets of a channel, on all nodes, for which filter returns
// true.
func (c *cluster) ids(ctx context.Context, channel string, filter func(*durableobject.Websocket) bool) ([]string, error) {
	ids := []string{}
	for _, n := range c.nodes {
		r, err := n.chat.Get(ctx, channel)
		if err != nil {
			return nil, err
		}
		for ws := range r.Websockets() {
			if filter(ws) {
				ids = append(ids, ws.ID())
			}
		}
	}
	return ids, nil
}
