package durableobject_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The newest events come first, and Next leads to those before them.
func ExampleObject_History() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Hour})
	defer l.close()
	ctx := context.Background()
	for _, event := range []string{"one", "two", "three", "four", "five"} {
		check(l.publish(ctx, event))
	}

	h := durableobject.HistoryOptions{Before: durableobject.HistoryNewest, Limit: 2}
	for more := true; more; more = h.Before != "" {
		page := must(l.room.History(ctx, h))
		var events []string
		for _, e := range page.Events {
			events = append(events, e.Event)
		}
		fmt.Println(events)
		h.Before = page.Next
	}
	// Output:
	// [five four]
	// [three two]
	// [one]
}

// recent is a method that returns a part of the history.
var recent = rpc.Define[int, []string]("recent")

// Clients read the history through a method, which returns what is for them.
func ExampleObject_History_method() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Hour})
	durableobject.Handle(l.rooms, recent, func(o *Lobby, ctx context.Context, ws *durableobject.Websocket, n int) ([]string, error) {
		page, err := o.History(ctx, durableobject.HistoryOptions{Before: durableobject.HistoryNewest, Limit: n, For: ws})
		var events []string
		for _, e := range page.Events {
			events = append(events, e.Event)
		}
		return events, err
	})
	defer l.close()
	ctx := context.Background()
	check(l.publish(ctx, "for all"))
	check(l.publish(ctx, "for the staff", durableobject.WithTags("staff")))
	check(l.publish(ctx, "for bob", durableobject.WithTargetIDs("bob")))

	fmt.Println(must(recent.Call(ctx, l.join("ann", "staff"), 10)))
	fmt.Println(must(recent.Call(ctx, l.join("bob"), 10)))
	// Output:
	// [for the staff for all]
	// [for bob for all]
	// ann: nothing
	// bob: nothing
}

// A client that comes for the first time begins with the newest events that are for it.
func ExampleOptions_latest() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Hour, Latest: 2})
	ctx := context.Background()
	for _, event := range []string{"one", "two", "three"} {
		check(l.publish(ctx, event))
	}
	l.join("ann")
	check(l.publish(ctx, "live"))
	l.close()
	// Output:
	// ann: two, three, live
}

// Score is a hub with a state: how many events there were. It begins with that state, and
// sends each event together with the state after it.
type Score struct {
	*Lobby

	mu    sync.Mutex
	total int
}

// Point counts an event, then publishes the count.
func (s *Score) Point(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock() // so that counts are published in order
	s.total++
	return s.PublishEvent(ctx, fmt.Sprint("total ", s.total))
}

// OnSubscribed sends a state that holds at least everything up to r.Position: a point is
// counted before its event is stored.
func (s *Score) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, r durableobject.Resume) error {
	if r.LastEventID != "" && !r.Truncated {
		return nil // it has been sent what it missed
	}
	s.mu.Lock()
	total := s.total
	s.mu.Unlock()
	return ws.Send(ctx, fmt.Sprint("total ", total))
}

// The state comes first and then what changes it. An event that the state holds already
// does no harm, since each has the whole count.
func ExampleResume_position() {
	var score *Score
	l := lobbyOf(func(room *Lobby) *Score {
		score = &Score{Lobby: room}
		return score
	}, durableobject.Options{ResumeRetention: time.Hour}, nil)
	ctx := context.Background()
	check(score.Point(ctx))
	check(score.Point(ctx))
	it := must(l.dial("ann"))
	first := true
	for event, err := range it.All() {
		check(err)
		if fmt.Println(event); !first {
			break
		}
		first = false
		check(score.Point(ctx))
	}
	check(it.Close())
	l.close()
	// Output:
	// total 2
	// total 3
}

// Tally is a hub whose state is what its events add up to.
type Tally struct {
	*durableobject.Object[int]

	total int
}

// newTally computes the state from the history.
func newTally(ctx context.Context, o *durableobject.Object[int]) (*Tally, error) {
	t := &Tally{Object: o}
	for h := (durableobject.HistoryOptions{After: "0", Limit: 2}); ; {
		page, err := o.History(ctx, h)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			t.total += e.Event
		}
		if h.After = page.Next; h.After == "" {
			return t, nil
		}
	}
}

// After a restart a newHub can compute the state of its object from the events in the log.
func ExampleObject_History_state() {
	ctx := context.Background()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Hour})
	o := &durableobject.Options{Verifier: signingKey, Log: log, ResumeRetention: time.Hour}
	before := durableobject.NewNamespace(newTally, o)
	tally := must(before.Get(ctx, "votes"))
	for _, n := range []int{3, 4, 5} {
		check(tally.PublishEvent(ctx, n))
	}
	check(before.Shutdown(ctx))

	after := durableobject.NewNamespace(newTally, o)
	fmt.Println(must(after.Get(ctx, "votes")).total)
	check(after.Shutdown(ctx))
	check(log.Close())
	// Output:
	// 12
}
