package durableobject_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// nodeFixture is one of the nodes that share a log.
type nodeFixture struct {
	*fixture
	handle *eventlogtest.Handle
}

// twoNodes runs a test on two namespaces that share a log, in a bubble.
func twoNodes(t *testing.T, test func(t *testing.T, log *eventlogtest.SharedMemory, here, there *nodeFixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlogtest.NewSharedMemory(nil)
		here, there := newNode(t, log), newNode(t, log)
		test(t, log, here, there)
		for _, n := range []*nodeFixture{here, there} {
			n.end()
			require.NoError(t, n.handle.Close())
		}
	})
}

func newNode(t *testing.T, log *eventlogtest.SharedMemory) *nodeFixture {
	t.Helper()
	o := keeping
	h := log.Open()
	o.Log = h
	return &nodeFixture{newFixture(t, o, nil), h}
}

// drain reads the frames that have arrived, and returns the texts of the events and the last id.
func (c *rawClient) drain() (texts []string, last string) {
	c.t.Helper()
	synctest.Wait()
	texts = []string{}
	for len(c.frames) > 0 {
		var e struct {
			P struct {
				E string
				D struct{ JSON *message }
				M struct{ ID string }
			}
		}
		frame := <-c.frames
		require.NoError(c.t, json.Unmarshal([]byte(frame), &e), frame)
		if e.P.D.JSON != nil && e.P.E == "message" {
			texts = append(texts, e.P.D.JSON.Text)
		}
		if e.P.M.ID != "" {
			last = e.P.M.ID
		}
	}
	return texts, last
}

// closedWith returns the code with which the socket was closed, or 0 if it is open.
func (c *rawClient) closedWith() int {
	synctest.Wait()
	select {
	case ce := <-c.closed:
		return int(ce.Code)
	default:
		return 0
	}
}

// resumed subscribes and returns the outcome of the resume in the response.
func (c *rawClient) resumed(last string) string {
	c.t.Helper()
	c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + extension + `,` + lastEventID(last) + `}}}`)
	var res struct{ P struct{ H map[string]string } }
	require.NoError(c.t, json.Unmarshal([]byte(c.next()), &res))
	return res.P.H["x-durable-iterator-resume"]
}

func TestNodesSeeTheEventsOfEachOther(t *testing.T) {
	twoNodes(t, func(_ *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		a, b := here.connect("a"), there.connect("b", withTags("x"))
		a.subscribe()
		b.subscribe()
		there.publish("1")
		here.publish("2", durableobject.WithTags("x"))
		there.publish("3", durableobject.WithTargetIDs("a"))
		a.sees("1", "3")
		b.sees("1", "2")
		a.seesNothing()
		b.seesNothing()
	})
}

// A cursor event never moves a client past events of other nodes that it was not sent.
func TestCursorEventsCountTheEventsOfOtherNodes(t *testing.T) {
	twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		lost := func(string, *eventlog.Record) eventlogtest.Fate { return eventlogtest.Fate{Delay: time.Hour} }
		here.handle.Disturb(lost)
		a := here.connect("a")
		a.subscribe(extension)
		there.publish("foreign")
		time.Sleep(keeping.ResumeRetention * 3 / 4)
		seen, last := a.drain()
		require.Empty(t, seen)
		a.drop()
		b := there.connect("a")
		if last == "" {
			last = "0"
		}
		b.subscribe(lastEventID(last))
		seen, _ = b.drain()
		require.Equal(t, []string{"foreign"}, seen)
	})
}

// A client that comes from another node is not sent events again that it has received there, even
// if this node has not received them yet. It is sent all events after them.
func TestResumeAheadOfTheNode(t *testing.T) {
	for name, missed := range map[string][]string{"nothing missed": {}, "events missed": {"missed"}} {
		t.Run(name, func(t *testing.T) {
			twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
				here.connect("follows")
				here.publish("0")
				here.handle.Disturb(func(string, *eventlog.Record) eventlogtest.Fate { return eventlogtest.Fate{Delay: time.Second} })
				x := there.connect("x")
				x.subscribe()
				there.publish("1")
				there.publish("2")
				got, id := x.drain()
				require.Equal(t, []string{"1", "2"}, got)
				x.drop()
				for _, text := range missed {
					there.publish(text)
				}
				y := here.connect("x")
				require.Equal(t, "complete", y.resumed(id))
				here.publish("3")
				time.Sleep(20 * time.Second)
				y.sees(append(missed, "3")...)
				y.seesNothing()
				require.Zero(t, y.closedWith())
			})
		})
	}
}

// A resume from a position that the log has never reached is truncated on every node.
func TestResumeBeyondTheLog(t *testing.T) {
	twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		x := there.connect("x")
		x.subscribe()
		there.publish("1")
		_, id := x.drain()
		require.Equal(t, "truncated", here.connect("y").resumed(id+"00"))
		require.Equal(t, "complete", here.connect("z").resumed(id))
	})
}

// If a client has received events on another node, the feed has 10 s to reach them.
func TestResumeAheadOfAFeedThatStandsStill(t *testing.T) {
	twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		here.connect("follows")
		here.handle.Disturb(func(string, *eventlog.Record) eventlogtest.Fate { return eventlogtest.Fate{Delay: time.Hour} })
		x := there.connect("x")
		x.subscribe()
		there.publish("1")
		_, id := x.drain()
		y := here.connect("x")
		require.Equal(t, "complete", y.resumed(id))
		time.Sleep(9 * time.Second)
		require.Zero(t, y.closedWith())
		time.Sleep(2 * time.Second)
		require.Equal(t, 1013, y.closedWith())
	})
}

// A client that subscribes for the first time is not sent events that another node published
// before.
func TestNewcomerOnANode(t *testing.T) {
	twoNodes(t, func(_ *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		here.room("room")
		there.publish("old")
		y := here.connect("y")
		y.subscribe()
		here.publish("new")
		y.sees("new")
		y.seesNothing()
	})
}

func TestResumeOfWhatAnotherNodePublished(t *testing.T) {
	twoNodes(t, func(_ *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		a := here.connect("a")
		a.subscribe()
		here.publish("1")
		_, id := a.event()
		a.drop()
		there.publish("2")
		there.publish("3")
		b := here.connect("a")
		b.subscribe(lastEventID(id))
		b.sees("2", "3")
		b.seesNothing()
	})
}

// Records that a feed leaves out are read from the log.
func TestFeedThatLeavesOut(t *testing.T) {
	twoNodes(t, func(_ *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		a := here.connect("a")
		a.subscribe()
		n := 0
		here.handle.Disturb(func(string, *eventlog.Record) eventlogtest.Fate {
			n++
			return eventlogtest.Fate{Drop: n%3 != 0}
		})
		for i := range 10 {
			there.publish(fmt.Sprint(i))
		}
		a.sees("0", "1", "2", "3", "4", "5", "6", "7", "8")
		a.seesNothing()
		time.Sleep(2 * time.Second) // then the log has noticed
		a.sees("9")
	})
}

// When the feed ends, the sockets are closed with 1012, and their clients resume from the log.
func TestFeedThatIsLost(t *testing.T) {
	for name, lose := range map[string]func(log *eventlogtest.SharedMemory, here *nodeFixture){
		"complete": func(_ *eventlogtest.SharedMemory, here *nodeFixture) {
			here.handle.Lose(errors.New("out of reach"))
		},
		"truncated": func(log *eventlogtest.SharedMemory, _ *nodeFixture) { log.Replace() },
	} {
		t.Run(name, func(t *testing.T) {
			twoNodes(t, func(t *testing.T, log *eventlogtest.SharedMemory, here, there *nodeFixture) {
				a := here.connect("a")
				a.subscribe()
				there.publish("1")
				there.publish("2")
				got, id := a.drain()
				require.Equal(t, []string{"1", "2"}, got)
				lose(log, here)
				require.Equal(t, 1012, a.closedWith())
				b := here.connect("a")
				require.Equal(t, name, b.resumed(id))
				there.publish("3")
				b.sees("3")
				b.seesNothing()
			})
		})
	}
}

// A node that cannot reach the log refuses clients and publishers, which may try again.
func TestNodeThatIsCutOff(t *testing.T) {
	twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, there *nodeFixture) {
		a := here.connect("a")
		here.handle.Cut(true)
		_, err := here.dial(url.Values{"id": {"b"}, "token": {sign(t, "room")}})
		require.ErrorContains(t, err, "status 503")
		_, err = here.dial(url.Values{"id": {"b"}, "token": {sign(t, "other room")}})
		require.ErrorContains(t, err, "status 503")
		a.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + lastEventID("0") + `}}}`)
		require.Contains(t, a.next(), `"code":"SERVICE_UNAVAILABLE"`)
		err = here.room("room").PublishEvent(t.Context(), message{"x"})
		require.ErrorIs(t, err, eventlog.ErrUnavailable)
		here.handle.Cut(false)
		a.subscribe()
		there.publish("1")
		a.sees("1")
	})
}

// Predicates cannot be used if nodes share a log, because they cannot be called for the sockets of
// other nodes.
func TestPredicatesWhereNodesShareALog(t *testing.T) {
	all := func(*durableobject.Websocket) bool { return true }
	for name, opt := range map[string]durableobject.PublishOption{
		"targets":  durableobject.WithTargetsFunc(all),
		"excludes": durableobject.WithExcludeFunc(all),
	} {
		t.Run(name, func(t *testing.T) {
			twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, _ *nodeFixture) {
				a := here.connect("a")
				a.subscribe()
				err := here.room("room").PublishEvent(t.Context(), message{"x"}, opt)
				require.ErrorIs(t, err, durableobject.ErrPredicate)
				a.seesNothing()
			})
		})
	}
}

// followCounter counts the feeds of a handle.
type followCounter struct {
	*eventlogtest.Handle
	open, most atomic.Int64
}

func (c *followCounter) Follow(ctx context.Context, channel string, f eventlog.Follower) (eventlog.Position, func(), error) {
	from, stop, err := c.Handle.Follow(ctx, channel, f)
	if err != nil {
		return from, nil, err
	}
	c.most.Store(max(c.most.Load(), c.open.Add(1)))
	var once sync.Once
	return from, func() {
		stop()
		once.Do(func() { c.open.Add(-1) })
	}, nil
}

// A channel is followed from its first socket until it is evicted. Publishing alone does not
// follow it.
func TestChannelsAreFollowedWhileTheyHaveSockets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := keeping
		log := &followCounter{Handle: eventlogtest.NewSharedMemory(nil).Open()}
		o.Log, o.TrimLog = log, true
		f := newFixture(t, o, nil)
		f.publish("1")
		require.Zero(t, log.open.Load())
		a, b := f.connect("a"), f.connect("b")
		require.EqualValues(t, 1, log.open.Load())
		a.drop()
		b.drop()
		require.EqualValues(t, 1, log.open.Load())
		time.Sleep(2 * durableobject.DefaultIdleTimeout)
		synctest.Wait()
		require.Zero(t, log.open.Load())
		c := f.connect("c")
		c.subscribe()
		f.publish("2")
		c.sees("2")
		f.end()
		require.Zero(t, log.open.Load())
		require.EqualValues(t, 1, log.most.Load())
		require.NoError(t, log.Close())
	})
}

// The answer of a method is sent after the events that it has published. If the feed is
// interrupted, it waits for 5 s.
func TestAnswersWaitForTheFeed(t *testing.T) {
	for name, test := range map[string]struct {
		delay  time.Duration
		order  []string
		answer time.Duration
	}{
		"late": {2 * time.Second, []string{"event", "answer"}, 2 * time.Second},
		"cut":  {time.Minute, []string{"answer", "event"}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			twoNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, here, _ *nodeFixture) {
				here.handle.Disturb(func(string, *eventlog.Record) eventlogtest.Fate { return eventlogtest.Fate{Delay: test.delay} })
				a := here.connect("a")
				a.subscribe()
				start := time.Now()
				a.send(`{"i":"2","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"x"}}}}}`)
				var order []string
				for range 2 {
					if frame := a.next(); strings.Contains(frame, `"i":"2"`) {
						order = append(order, "answer")
						require.Equal(t, test.answer, time.Since(start), frame)
					} else {
						order = append(order, "event")
					}
				}
				require.Equal(t, test.order, order)
			})
		})
	}
}
