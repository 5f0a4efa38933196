package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// cluster is several servers whose chat rooms share a log, behind a balancer that sends
// each request to the next one. Rooms that keep nothing have one home, as they need where
// no log is shared: they are those of the first server.
type cluster struct {
	nodes    []*server
	logs     []*eventlogtest.Handle
	counters *counters // of all nodes, as a database would have them
	turn     atomic.Uint64
}

func newCluster(o options, nodes int) *cluster {
	c := &cluster{counters: newCounters()}
	log := eventlogtest.NewSharedMemory(&eventlog.MemoryOptions{Retention: o.retention})
	for range nodes {
		handle := log.Open()
		o.log, o.cluster = handle, c
		node := newServer(o)
		o.plain = node.plain
		c.logs, c.nodes = append(c.logs, handle), append(c.nodes, node)
	}
	return c
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
	return errors.Join(errs...)
}

// ids returns the ids of the sockets of a channel, on all nodes, for which a filter holds.
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
