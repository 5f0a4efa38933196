package durableobject_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const subscribeFrame = `{"i":"1","p":{"u":"/subscribe","b":{}}}`

// A stalled socket holds nobody up, costs no more than its lag, and reads on from
// the log when it reads again: nothing is lost, doubled or out of order.
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

// Publishing while a slow socket reads from the log: it joins the tail again.
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
	o := durableobject.Options{ResumeRetention: 10 * time.Second, MaxLagBytes: 1000}
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

func TestAnswersThatNobodyReadsAreBounded(t *testing.T) {
	bubble(t, durableobject.Options{MaxLagBytes: 10_000}, func(t *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		call := `{"i":"%d","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"` + strings.Repeat("x", 1000) + `"}}}}}`
		for i := range 50 {
			slow.send(fmt.Sprintf(call, i))
			synctest.Wait()
		}
		go read()
		require.Equal(t, 1013, int((<-slow.closed).Code))
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
