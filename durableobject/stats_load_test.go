package durableobject_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// received reads the frames that have arrived. It returns the number of events, and the size of
// all frames with the headers that a server sends.
func (c *rawClient) received() (events, bytes uint64) {
	for {
		select {
		case frame := <-c.frames:
			if strings.Contains(frame, `"e":"message","d"`) || strings.Contains(frame, `"e":"message","m"`) {
				events++
			}
			bytes += uint64(len(frame)) + 2
			if len(frame) > 125 {
				bytes += 2
			}
		default:
			return events, bytes
		}
	}
}

// never fails the test if a count of s is less than that of before.
func never(t *testing.T, before, s durableobject.Stats) {
	t.Helper()
	for name, pair := range map[string][2]uint64{
		"Publishes": {before.Publishes, s.Publishes}, "PublishErrors": {before.PublishErrors, s.PublishErrors},
		"Deliveries": {before.Deliveries, s.Deliveries}, "BytesSent": {before.BytesSent, s.BytesSent},
		"Subscribes": {before.Subscribes, s.Subscribes}, "Calls": {before.Calls[durableobject.ResultOK], s.Calls[durableobject.ResultOK]},
	} {
		if pair[1] < pair[0] {
			t.Errorf("%s went from %d to %d", name, pair[0], pair[1])
		}
	}
}

// Under any load the counts are exact in the end, and none decreases meanwhile.
func TestStatsUnderLoad(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		const channels, clients, rounds = 5, 6, 20
		var sockets []*rawClient
		for ch := range channels {
			for i := range clients {
				var opts []tokenOption
				if i%2 == 0 {
					opts = append(opts, withTags("even"))
				}
				c, err := f.dial(url.Values{"id": {fmt.Sprint(i)}, "token": {sign(t, fmt.Sprint("room ", ch), opts...)}})
				require.NoError(t, err)
				sockets = append(sockets, c)
			}
		}
		watched := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(watched)
			var before durableobject.Stats
			for {
				s := f.rooms.Stats()
				never(t, before, s)
				before = s
				select {
				case <-done:
					return
				default:
				}
			}
		}()
		var all sync.WaitGroup
		for i, c := range sockets {
			all.Go(func() {
				c.send(`{"i":"1","p":{"u":"/subscribe","b":{}}}`)
				for n := range rounds {
					c.send(fmt.Sprintf(`{"i":"%d","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"%d"}}}}}`, 10+2*n, i))
					c.send(fmt.Sprintf(`{"i":"%d","p":{"u":"/call","b":{"json":{"path":["fail"],"input":"conflict"}}}}`, 11+2*n))
				}
			})
		}
		for ch := range channels {
			r := f.room(fmt.Sprint("room ", ch))
			all.Go(func() {
				for range rounds {
					if err := r.PublishEvent(context.Background(), message{"to some"}, durableobject.WithTags("even")); err != nil {
						t.Error(err)
					}
					if r.PublishEvent(context.Background(), message{}, nil) == nil {
						t.Error("a nil option was accepted")
					}
				}
			})
		}
		all.Wait()
		close(done)
		<-watched
		synctest.Wait()

		var events, bytes uint64
		for _, c := range sockets {
			e, b := c.received()
			events, bytes = events+e, bytes+b
		}
		s := f.rooms.Stats()
		require.EqualValues(t, channels*rounds*(clients+1), s.Publishes)
		require.EqualValues(t, channels*rounds, s.PublishErrors)
		require.Equal(t, events, s.Deliveries)
		require.Equal(t, bytes, s.BytesSent)
		require.EqualValues(t, len(sockets), s.Subscribes)
		require.Equal(t, len(sockets), s.Subscriptions)
		require.Equal(t, channels, s.Channels)
		require.Equal(t, map[string]uint64{
			durableobject.ResultOK: uint64(len(sockets) * rounds), "CONFLICT": uint64(len(sockets) * rounds),
		}, s.Calls)

		for i, c := range sockets { // at once
			all.Go(func() {
				if i%3 == 0 {
					_ = c.ws.CloseNow()
					return
				}
				_, _ = f.rooms.Disconnect(context.Background(), durableobject.Who{Channel: fmt.Sprint("room ", i/clients), ID: fmt.Sprint(i % clients)}, 4403, "")
			})
		}
		all.Wait()
		synctest.Wait()
		s = f.rooms.Stats()
		require.Equal(t, map[int]uint64{1006: channels * clients / 3, 4403: channels * clients * 2 / 3}, s.Closes)
		require.Zero(t, s.Websockets)
		require.Zero(t, s.Subscriptions)
	})
}
