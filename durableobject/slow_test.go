package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const subscribeFrame = `{"i":"1","p":{"u":"/subscribe","b":{}}}`

// A stalled socket delays nothing else, uses no more memory than it may lag, and continues from
// the log when it reads again. No event is lost, repeated or out of order.
func TestStalledSocketReadsOnFromTheLog(t *testing.T) {
	o := keeping
	o.MaxLagBytes = 50_000
	bubble(t, o, func(_ *testing.T, f *fixture) {
		stalled, read := f.stalled("slow")
		stalled.send(subscribeFrame)
		quick := f.connect("quick")
		quick.subscribe()
		synctest.Wait()
		var want []string
		for i := range 1000 {
			text := fmt.Sprint(i, strings.Repeat("x", 1000))
			want = append(want, text)
			f.publish(text)
			quick.sees(text)
			if i%10 == 0 {
				f.publish("not for the slow one", durableobject.WithTargetIDs("quick"))
				quick.sees("not for the slow one")
			}
		}
		go read()
		stalled.next()
		stalled.sees(want...)
		f.publish("live again")
		stalled.sees("live again")
		stalled.seesNothing()
	})
}

// A socket that catches up from the log while events are published reads from the tail again.
func TestSlowSocketCatchesUpWhileOthersPublish(t *testing.T) {
	o := keeping
	o.MaxLagBytes = 20_000
	bubble(t, o, func(_ *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		slow.send(subscribeFrame)
		synctest.Wait()
		n := 0
		burst := func(size int) {
			for range size {
				f.publish(fmt.Sprint(n, strings.Repeat("y", 500)))
				n++
			}
		}
		burst(300)
		go read()
		slow.next()
		seen := 0
		for seen < n {
			text, _ := slow.event()
			if got := strings.TrimRight(text, "y"); got != fmt.Sprint(seen) {
				require.Equal(slow.t, fmt.Sprint(seen), got)
			}
			if seen++; n < 3000 {
				burst(seen % 7)
			}
		}
		slow.seesNothing()
	})
}

func TestStalledSocketWithoutLogIsClosed(t *testing.T) {
	bubble(t, durableobject.Options{MaxLagBytes: 10_000}, func(t *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		slow.send(subscribeFrame)
		quick := f.connect("quick")
		quick.subscribe()
		synctest.Wait()
		for i := range 100 {
			text := fmt.Sprint(i, strings.Repeat("x", 500))
			f.publish(text)
			quick.sees(text)
		}
		go read()
		require.Equal(t, 1013, int((<-slow.closed).Code))
	})
}

func TestStalledSocketBehindTheRetentionIsClosed(t *testing.T) {
	o := durableobject.Options{ResumeRetention: 10 * time.Second, MaxLagBytes: 1000, StallTimeout: time.Minute}
	bubble(t, o, func(t *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		slow.send(subscribeFrame)
		synctest.Wait()
		for range 2 {
			for range 100 {
				f.publish(strings.Repeat("x", 2000))
			}
			time.Sleep(11 * time.Second)
		}
		go read()
		require.Equal(t, 1013, int((<-slow.closed).Code))
	})
}

const tellFrame = `{"i":"%d","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"%s"}}}}}`

// A client that requests more than fits is slowed down, and receives all its answers.
func TestAnswersWaitForRoom(t *testing.T) {
	bubble(t, durableobject.Options{MaxLagBytes: 10_000, MaxCalls: 4}, func(t *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		const calls = 100
		go func() {
			for i := range calls {
				_ = slow.ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, tellFrame, i, strings.Repeat("x", 1000)))
			}
		}()
		time.Sleep(9 * time.Second)
		go read()
		for range calls {
			require.Contains(t, slow.next(), `"told xxx`)
		}
	})
}

// A client that reads, however slowly, stays connected. A client that reads nothing is closed, and
// nothing more of it is read or run.
func TestOnlyStalledClientsAreClosed(t *testing.T) {
	bubble(t, durableobject.Options{MaxLagBytes: 50_000, MaxCalls: 4, PingInterval: -1}, func(t *testing.T, f *fixture) {
		var ran, sent atomic.Int64
		f.hooks.told = func() { ran.Add(1) }
		slow, _ := f.stalled("slow")
		go func() {
			for {
				if slow.ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, tellFrame, sent.Load(), strings.Repeat("x", 6000))) != nil {
					return
				}
				sent.Add(1)
			}
		}()
		for range 50 {
			time.Sleep(9 * time.Second)
			_, frame, err := slow.ws.Read(t.Context())
			require.NoError(t, err)
			require.Contains(t, string(frame), `"told xxx`)
		}
		synctest.Wait()
		require.Less(t, ran.Load(), int64(70), "calls run as their answers are read")
		time.Sleep(11 * time.Second)
		before, read := ran.Load(), sent.Load()
		time.Sleep(10 * time.Second)
		require.Equal(t, before, ran.Load())
		require.Equal(t, read, sent.Load())
		require.Empty(t, collect(f.room("room").Websockets()))
		slow.drop()
	})
}

func TestSocketThatTakesNothingIsGivenUp(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		slow, _ := f.stalled("slow")
		slow.send(subscribeFrame)
		synctest.Wait()
		require.Len(t, collect(f.room("room").Websockets()), 1)
		time.Sleep(2 * time.Minute)
		require.Empty(t, collect(f.room("room").Websockets()))
		slow.drop()
	})
}
