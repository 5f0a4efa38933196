package durableobject_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A channel that receives a record without the one before it reads from the log where it was.
func TestRecordsOfOthersInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := keeping
		o.Log = eventlog.NewMemory(nil)
		here, there := newFixture(t, o, nil), newFixture(t, o, nil)
		a, tagged := here.connect("a"), here.connect("t", withTags("x"))
		a.subscribe()
		tagged.subscribe()
		here.publish("1")
		there.publish("2", durableobject.WithTags("x"))
		there.publish("3", durableobject.WithTags("y"))
		there.publish("4")
		a.sees("1")
		tagged.sees("1")
		here.publish("5", durableobject.WithTags("x"))
		a.sees("4")
		tagged.sees("2", "4", "5")
		here.publish("6")
		a.sees("6")
		tagged.sees("6")
		a.seesNothing()
		tagged.seesNothing()
		here.end()
		there.end()
		require.NoError(t, o.Log.Close())
	})
}

// A log forgets a channel whose events have all expired, and does not know which event came before
// the next one. Clients that are connected are not affected.
func TestQuietChannelInABusyLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := keeping
		o.Log = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: keeping.ResumeRetention})
		f := newFixture(t, o, nil)
		c := f.connect("a")
		c.subscribe()
		f.publish("early")
		c.sees("early")
		busy := f.room("busy")
		for i := range 100 {
			require.NoError(t, busy.PublishEvent(t.Context(), message{fmt.Sprint(i)}))
			time.Sleep(10 * time.Second)
		}
		f.publish("late")
		c.sees("late")
		c.seesNothing()
		f.end()
		require.NoError(t, o.Log.Close())
	})
}

// W10: events that the log keeps for longer than the retention are not replayed.
func TestRetentionIsShorterThanThatOfTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(nil)
		kept := neverTrimmed{log}
		o := durableobject.Options{ResumeRetention: time.Minute, Log: kept}
		f := newFixture(t, o, nil)
		var truncated []bool
		f.hooks.subscribed = func(_ *room, _ *durableobject.Websocket, res durableobject.Resume) error {
			truncated = append(truncated, res.Truncated)
			return nil
		}
		c := f.connect("a")
		c.subscribe()
		f.publish("one")
		_, one := c.event()
		f.publish("two")
		_, two := c.event()
		time.Sleep(2 * time.Minute)
		f.publish("three")
		for _, last := range []string{one, two} {
			c := f.connect("b")
			c.subscribe(lastEventID(last))
			c.sees("three")
			c.seesNothing()
		}
		require.Equal(t, []bool{false, true, false}, truncated)
		f.end()
		require.NoError(t, log.Close())
	})
}
