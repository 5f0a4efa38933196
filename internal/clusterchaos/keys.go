package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const (
	// keyTime is how long the same key is used. It is shorter than keys are remembered and
	// longer than most faults.
	keyTime  = 10 * time.Second
	keyPause = 30 * time.Millisecond // between the publications of a node
)

// publishKeyed makes all nodes publish the same event with the same key repeatedly while
// servers are killed. The watchers notice repetitions, and the report counts ids.
func (c *cluster) publishKeyed(ctx context.Context, done <-chan struct{}) {
	for i := 0; !closed(done); i++ {
		k := &key{cluster: c, name: fmt.Sprint("key ", i), channel: c.channels[i%busy]}
		var running sync.WaitGroup
		for _, n := range c.nodes {
			running.Go(func() {
				for end := time.Now().Add(keyTime); time.Now().Before(end) && !closed(done); {
					k.publish(ctx, n)
					pause(done, keyPause)
				}
			})
		}
		running.Wait()
	}
}

// key is an idempotency key with its event.
type key struct {
	cluster *cluster
	channel *channelRun
	name    string
	id      string // from the first acknowledgement; guarded by cluster.mu
}

func (k *key) publish(ctx context.Context, n *node) {
	id, start := "", time.Now()
	err := n.publish(ctx, k.channel.name, k.name, durableobject.WithIdempotencyKey(k.name), durableobject.WithEventID(&id))
	if k.isFirst(id, err) {
		k.cluster.note(k.channel, k.name, start, err)
	}
}

// isFirst counts a publication. It reports whether the publication has failed or is the
// first one acknowledged.
func (k *key) isFirst(id string, err error) bool {
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	r := &k.cluster.report
	r.keyed++
	switch {
	case err != nil:
		return true
	case k.id == "":
		k.id = id
		r.keys++
		return true
	case id != k.id:
		r.ids++
	}
	return false
}
