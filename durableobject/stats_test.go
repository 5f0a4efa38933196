package durableobject_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/rpc"
)

// subscribed subscribes, and reads the answer and n events.
func (c *rawClient) subscribed(n int, header ...string) *rawClient {
	c.t.Helper()
	c.subscribe(header...)
	for range n {
		c.event()
	}
	synctest.Wait()
	return c
}

func TestStatsCountsPublishesAndDeliveries(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		f.connect("a").subscribed(0)
		f.connect("b", withTags("few")).subscribed(0)
		f.connect("idle")
		f.publish("to all")
		f.publish("to few", durableobject.WithTags("few"))
		f.publish("to nobody", durableobject.WithTags())
		synctest.Wait()

		before := f.rooms.Stats()
		require.Equal(t, 1, before.Channels)
		require.Equal(t, 3, before.Websockets)
		require.Equal(t, 2, before.Subscriptions)
		require.Equal(t, 0, before.Behind)
		require.EqualValues(t, 3, before.Publishes)
		require.EqualValues(t, 3, before.Deliveries, "two of the first, one of the second")
		require.Positive(t, before.BytesSent)

		require.Error(t, f.room("room").PublishEvent(t.Context(), message{"bad"}, nil))
		f.publish("a burst")
		f.publish("that is sent at once", durableobject.WithTargetIDs("a"))
		synctest.Wait()
		after := f.rooms.Stats()
		require.EqualValues(t, 5, after.Publishes)
		require.EqualValues(t, 1, after.PublishErrors)
		require.EqualValues(t, 6, after.Deliveries)
		require.Greater(t, after.BytesSent, before.BytesSent)
	})
}

// Events of a channel are counted even after it was evicted.
func TestStatsOutlivesChannels(t *testing.T) {
	o := keeping
	o.IdleTimeout = time.Minute
	bubble(t, o, func(t *testing.T, f *fixture) {
		f.publish("one")
		f.publish("two")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		s := f.rooms.Stats()
		require.Equal(t, 0, s.Channels)
		require.EqualValues(t, 2, s.Publishes)
		require.Empty(t, f.rooms.Channels())
		f.publish("three")
		require.EqualValues(t, 3, f.rooms.Stats().Publishes)
		require.EqualValues(t, 1, f.rooms.Channels()[0].Publishes, "since it is in memory")
	})
}

func TestStatsCountsCallsByResult(t *testing.T) {
	o := keeping
	o.Interceptors = []rpc.Interceptor{func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if strings.Contains(strings.Join(call.Path, "."), "missing") {
			panic("an interceptor")
		}
		if strings.Contains(strings.Join(call.Path, "."), "say") {
			return nil, rpc.Errorf(rpc.CodeTooManyRequests, "slow down")
		}
		return next(ctx, call)
	}}
	bubble(t, o, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		call := func(id int, path, input string) {
			c.send(fmt.Sprintf(`{"i":"%d","p":{"u":"/call","b":{"json":{"path":["%s"],"input":%s}}}}`, id, path, input))
		}
		for i, how := range []string{"conflict", "conflict", "error", "panic"} {
			call(i+1, "fail", `"`+how+`"`)
			c.next()
		}
		call(10, "tell", `{"text":"hi"}`)
		c.next()
		call(11, "secret", "null") // which the token does not allow
		c.next()
		call(12, "tell", "5")
		c.next()
		call(13, "say", `{"text":"hi"}`)
		c.next()
		call(14, "missing", "null")
		c.next()
		c.send(`{"i":"20","p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]}}}}`)
		synctest.Wait()
		c.send(`{"i":"20","t":4}`)
		synctest.Wait()
		require.Equal(t, map[string]uint64{
			durableobject.ResultOK: 1, "CONFLICT": 2, "INTERNAL_SERVER_ERROR": 3, "TOO_MANY_REQUESTS": 1, "FORBIDDEN": 1, "BAD_REQUEST": 1,
			"CLIENT_CLOSED_REQUEST": 1,
		}, f.rooms.Stats().Calls)
	})
}

func TestStatsCountsResumes(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		c := f.connect("a").subscribed(0)
		f.publish("one")
		_, id := c.event()
		f.publish("two")
		_, newest := c.event()
		c.drop()
		f.connect("a").subscribed(1, lastEventID(id))
		f.connect("a").subscribed(0, lastEventID(newest)) // has missed nothing
		f.connect("a").subscribed(2, lastEventID("unknown"))
		f.connect("b").subscribed(0)
		s := f.rooms.Stats()
		require.EqualValues(t, 5, s.Subscribes)
		require.EqualValues(t, 2, s.ResumesComplete)
		require.EqualValues(t, 1, s.ResumesTruncated)
		require.EqualValues(t, 5, s.Deliveries, "replayed events too")
	})
}

// The code that was sent first is counted. A client cannot make the server count thousands of
// codes.
func TestStatsCountsClosesByCode(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		closeWith := func(code websocket.StatusCode) {
			require.NoError(t, f.connect("a").ws.Close(code, ""))
			synctest.Wait()
		}
		closeWith(websocket.StatusNormalClosure)
		closeWith(websocket.StatusGoingAway)
		for code := range 50 {
			closeWith(websocket.StatusCode(3000 + 30*code))
		}
		closeWith(websocket.StatusNoStatusRcvd) // sends none
		f.connect("dropped").drop()
		f.connect("kicked")
		synctest.Wait()
		_, err := f.rooms.Disconnect(t.Context(), durableobject.Who{ID: "kicked"}, 4403, "banned")
		require.NoError(t, err)
		f.connect("expired", withLife(10*time.Second))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, map[int]uint64{1000: 1, 1001: 1, 1005: 1, 1006: 1, 1008: 1, 3000: 50, 4403: 1}, f.rooms.Stats().Closes)
		require.Equal(t, 0, f.rooms.Stats().Websockets)
	})
}

func TestWebsocketsAreSinceAWholeSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(700 * time.Millisecond)
		f := newFixture(t, durableobject.Options{}, nil)
		for _, pause := range []time.Duration{0, 299 * time.Millisecond, time.Millisecond, 1500 * time.Millisecond} {
			time.Sleep(pause)
			c := f.connect("a")
			for ws := range f.rooms.Websockets("room") {
				require.Equal(t, time.Now().Truncate(time.Second), ws.Stats().Since)
			}
			c.drop()
		}
		f.end()
	})
}

// The lag of a stalled socket, in events and bytes, is exact while it reads from the tail, after
// it has fallen behind, and while it catches up.
func TestWebsocketStats(t *testing.T) {
	o := keeping
	o.MaxLagBytes = 20_000
	bubble(t, o, func(t *testing.T, f *fixture) {
		opened := time.Now()
		stalled, read := f.stalled("slow")
		stalled.send(subscribeFrame)
		time.Sleep(time.Second)
		quick := f.connect("quick").subscribed(0)
		of := func(id string) (s durableobject.WebsocketStats) {
			for ws := range f.rooms.Websockets("room") {
				if ws.ID() == id {
					s = ws.Stats()
				}
			}
			return s
		}
		require.Equal(t, opened, of("slow").Since)
		require.Equal(t, opened.Add(time.Second), of("quick").Since)
		text := strings.Repeat("x", 1000)
		publish := func(n int) {
			for range n {
				f.publish(text)
				quick.sees(text)
			}
			synctest.Wait()
		}

		publish(10)
		s := of("slow")
		require.Equal(t, durableobject.WebsocketLive, s.State)
		require.Equal(t, 10, s.LagEvents, "its connection takes nothing")
		require.InDelta(t, 10*1100, s.LagBytes, 10*80)
		publish(490)
		s = of("slow")
		require.Equal(t, durableobject.WebsocketBehind, s.State)
		require.Equal(t, 1, f.rooms.Stats().Behind)
		require.Equal(t, 500, s.LagEvents)
		require.InDelta(t, 500*1100, s.LagBytes, 500*80)
		q := of("quick")
		require.Equal(t, durableobject.WebsocketLive, q.State)
		require.Zero(t, q.LagEvents)
		require.Zero(t, q.LagBytes)
		ch := f.rooms.Channels()[0]
		require.Equal(t, durableobject.ChannelStats{
			Name: "room", Websockets: 2, Subscriptions: 2, Behind: 1,
			MaxLagEvents: 500, MaxLagBytes: s.LagBytes, Publishes: 500,
		}, ch)

		go read()
		stalled.next()
		for range 500 {
			stalled.sees(text)
		}
		stalled.seesNothing()
		s = of("slow")
		require.Equal(t, durableobject.WebsocketLive, s.State)
		require.Zero(t, s.LagEvents)
		require.Zero(t, s.LagBytes)
	})
}

func TestWebsocketStates(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		state := func() durableobject.WebsocketState {
			synctest.Wait()
			for ws := range f.rooms.Websockets("room") {
				return ws.Stats().State
			}
			return ""
		}
		require.Empty(t, state())
		release := make(chan struct{})
		f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error {
			<-release
			return nil
		}
		c := f.connect("a")
		require.Equal(t, durableobject.WebsocketUnsubscribed, state())
		c.subscribe()
		require.Equal(t, durableobject.WebsocketWaiting, state())
		f.publish("held back")
		for ws := range f.rooms.Websockets("room") {
			require.Equal(t, 1, ws.Stats().LagEvents)
		}
		close(release)
		require.Equal(t, durableobject.WebsocketLive, state())
		for ws := range f.rooms.Websockets("room") {
			ws.Close(1000, "")
			require.Equal(t, durableobject.WebsocketClosing, ws.Stats().State)
		}
	})
}

// Reading statistics creates no object and does not delay an eviction.
func TestLookingIsNoUse(t *testing.T) {
	o := keeping
	o.IdleTimeout = time.Minute
	bubble(t, o, func(t *testing.T, f *fixture) {
		made := 0
		f.hooks.made = func(string) { made++ }
		for range f.rooms.Websockets("nowhere") {
			require.Fail(t, "a socket of a channel that nobody uses")
		}
		require.Empty(t, f.rooms.Channels())
		require.Zero(t, made)
		f.publish("one")
		for range 100 {
			time.Sleep(10 * time.Second)
			f.rooms.Channels()
			f.rooms.Stats()
			collect(f.rooms.Websockets("room"))
		}
		require.Empty(t, f.rooms.Channels())
	})
}

func TestChannelsAreSorted(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		for _, name := range []string{"c", "a", "b"} {
			_, err := f.dial(url.Values{"id": {"x"}, "token": {sign(t, name)}})
			require.NoError(t, err)
		}
		synctest.Wait()
		var names []string
		for _, ch := range f.rooms.Channels() {
			require.Equal(t, 1, ch.Websockets)
			names = append(names, ch.Name)
		}
		require.Equal(t, []string{"a", "b", "c"}, names)
	})
}

// Statistics can be read at any time, also after Shutdown.
func TestStatsAtAnyTime(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				f.rooms.Stats()
				f.rooms.Channels()
			}
		}()
		for i := range 50 {
			c := f.connect(fmt.Sprint(i)).subscribed(0)
			f.publish("hello")
			if i%2 == 0 {
				c.drop()
			}
		}
		<-done
		require.NoError(t, f.rooms.Shutdown(context.Background()))
		s := f.rooms.Stats()
		require.Zero(t, s.Channels)
		require.EqualValues(t, 50, s.Publishes)
		require.Equal(t, map[int]uint64{1006: 25, 1012: 25}, s.Closes)
	})
}

// An application whose error codes contain input of clients cannot fill the memory.
func TestCodesAreBounded(t *testing.T) {
	o := keeping
	n := 0
	o.Interceptors = []rpc.Interceptor{func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if strings.Contains(strings.Join(call.Path, "."), "say") {
			n++
			return nil, rpc.Errorf(rpc.Code(fmt.Sprint("CODE_", n)), "no")
		}
		return next(ctx, call)
	}}
	bubble(t, o, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		for i := range 200 {
			c.send(fmt.Sprintf(`{"i":"%d","p":{"u":"/call","b":{"json":{"path":["say"],"input":{"text":"hi"}}}}}`, i))
			c.next()
		}
		calls := f.rooms.Stats().Calls
		require.Len(t, calls, 65)
		require.EqualValues(t, 136, calls[durableobject.ResultOther])
	})
}

func TestStatsCountsAnEventWithAKeyOnce(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		for range 3 {
			f.publish("once", durableobject.WithIdempotencyKey("key"))
		}
		require.EqualValues(t, 1, f.rooms.Stats().Publishes)
	})
}

// Each node counts the events that it has published itself.
func TestStatsOfNodes(t *testing.T) {
	threeNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, nodes []*nodeFixture) {
		nodes[0].connect("a").subscribed(0)
		nodes[1].connect("b").subscribed(0)
		nodes[0].publish("one")
		nodes[0].publish("two")
		nodes[1].publish("three")
		time.Sleep(time.Second)
		synctest.Wait()
		for i, want := range []durableobject.Stats{{Publishes: 2, Deliveries: 3}, {Publishes: 1, Deliveries: 3}, {}} {
			s := nodes[i].rooms.Stats()
			require.Equal(t, want.Publishes, s.Publishes, i)
			require.Equal(t, want.Deliveries, s.Deliveries, i)
		}
	})
}
