//go:build e2e

package natslog

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// TestKeysWhileServersAreReplaced publishes one key a thousand times, and others from each
// node, while the servers are restarted, the leader first. Each key is stored and delivered
// once, and all acknowledgements of a key have the same id.
func TestKeysWhileServersAreReplaced(t *testing.T) {
	const times = 1000
	c := newCluster(t)
	o := Options{TailCheck: 500 * time.Millisecond}
	logs := []*Log{c.open(0, o), c.open(1, o), c.open(2, o)}
	var followers []*follower
	for _, l := range logs {
		followers = append(followers, follow(t, l, "room"))
	}
	var mu sync.Mutex
	acked := map[string]eventlog.Position{} // by key
	total := 0
	append1 := func(l *Log, key string) bool {
		r := &eventlog.Record{Key: key, Data: []byte(key)}
		if err := l.Append(context.Background(), "room", r, nil); err != nil {
			t.Errorf("key %s: %v", key, err)
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if key == "one" {
			total++
		}
		if first, ok := acked[key]; ok && first != r.Position() {
			t.Errorf("key %s was acknowledged at %v and at %v", key, first, r.Position())
			return false
		}
		acked[key] = r.Position()
		return true
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i, l := range logs {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil || n <= times/len(logs); n++ {
				if !append1(l, "one") || !append1(l, "of all "+strconv.Itoa(n)) {
					return
				}
				if n > 0 && !append1(l, fmt.Sprintf("of %d: %d", i, n/2)) {
					return
				}
			}
		})
	}
	c.replaceServers()
	stop()
	writers.Wait()
	require.GreaterOrEqual(t, total, times)
	t.Logf("one key %d times, %d keys", total, len(acked))
	for _, f := range followers {
		f.until(t, func(got []*eventlog.Record, lost error) bool { return len(got) >= len(acked) || lost != nil })
		require.NoError(t, f.lost)
		require.Len(t, f.got, len(acked))
		for _, r := range f.got {
			require.Equal(t, acked[string(r.Data)], r.Position(), "%s", r.Data)
		}
	}
	texts, _ := after(t, logs[1], "room", eventlog.Position{})
	require.Len(t, texts, len(acked))
	require.Equal(t, 1, strings.Count(strings.Join(texts, "\n")+"\n", "one\n"))
}
