package durableobject_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// followCounter counts the feeds of a handle.
type followCounter struct {
	*eventlogtest.Handle

	mu         sync.Mutex
	open, most int
}

func (c *followCounter) count(t *testing.T, open, most int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, open, c.open)
	require.Equal(t, most, c.most)
}

func (c *followCounter) Follow(ctx context.Context, channel string, f eventlog.Follower) (eventlog.Position, func(), error) {
	from, stop, err := c.Handle.Follow(ctx, channel, f)
	if err != nil {
		return from, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.most = max(c.most, c.open)
	stopped := false
	return from, func() {
		stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !stopped {
			c.open--
		}
		stopped = true
	}, nil
}

// A channel is followed from its first socket until it is evicted, and not for those who
// only publish.
func TestChannelsAreFollowedWhileTheyHaveSockets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := keeping
		log := &followCounter{Handle: eventlogtest.NewSharedMemory(nil).Open()}
		o.Log, o.TrimLog = log, true
		f := newFixture(t, o, nil)
		f.publish("1")
		log.count(t, 0, 0)
		a, b := f.connect("a"), f.connect("b")
		log.count(t, 1, 1)
		a.drop()
		b.drop()
		log.count(t, 1, 1)
		time.Sleep(2 * durableobject.DefaultIdleTimeout)
		synctest.Wait()
		log.count(t, 0, 1)
		c := f.connect("c")
		c.subscribe()
		f.publish("2")
		c.sees("2")
		f.end()
		log.count(t, 0, 1)
		require.NoError(t, log.Close())
	})
}
