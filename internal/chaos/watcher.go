package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The differences between clients.
const (
	smallBuffer = 64
	shortLife   = 3 * time.Second
	renewBefore = time.Second
	// awayAtMost limits the longer pauses of clients, in which brief rooms drop events.
	awayAtMost = 5 * time.Second
	// Slow readers pause for slowness after slowAfter events, so that events are buffered
	// when the connection is lost.
	slowAfter = 50
	slowness  = 500 * time.Millisecond
	// patience is how long a call may take, however often its connection is lost before
	// it is sent.
	patience = time.Minute
)

// item is what an iterator has yielded: an event or a gap.
type item struct {
	place place
	seq   uint64 // of the event's id
	gap   *gap
}

// gap is a gap that an iterator has yielded, with the times of it and of the next event.
type gap struct {
	*client.GapError
	at, next time.Time
}

// tally counts what happens to all watchers.
type tally struct {
	yields, losses, tokens, calls, lostCalls atomic.Int64
}

// surroundings has the addresses and settings of all watchers.
type surroundings struct {
	plain, secure string // addresses
	http          *http.Client
	seed          uint64
	calm          atomic.Bool // clients make no long pauses
	tally         tally
}

// watcher is a client that ranges over the events until the last one, and calls a
// method from time to time.
type watcher struct {
	member
	tally *tally
	it    *client.Iterator[event]
	state client.State // belongs to the iterator

	items   []item
	slow    bool
	done    chan struct{} // closed when the loop has ended
	err     error         // why the iterator ended before the last event
	readBad []error       // faults found by the loop

	stopCalls context.CancelFunc
	called    chan struct{} // closed when there are no more calls
	callBad   []error       // faults of calls
}

func (s *surroundings) watch(ctx context.Context, number int) (*watcher, error) {
	random := rand.New(rand.NewPCG(s.seed, uint64(number))) //nolint:gosec // a run can be repeated
	w := &watcher{
		member: member{number % rooms, number / rooms},
		tally:  &s.tally,
		slow:   random.IntN(4) == 0,
		done:   make(chan struct{}),
		called: make(chan struct{}),
	}
	o := &client.Options{
		URL:               "ws://" + s.plain + "/" + kindOf(w.room),
		HTTPClient:        s.http,
		CreateID:          func(*token.Payload) string { return w.id() },
		Backoff:           func(int) time.Duration { return w.pause(s.calm.Load()) },
		RefreshTokenDelay: 300 * time.Millisecond,
		DialTimeout:       3 * time.Second,
		PingInterval:      time.Second,
		OnStateChange:     w.note,
	}
	if random.IntN(2) == 0 {
		o.URL = "wss://" + s.secure + "/" + kindOf(w.room)
	}
	if random.IntN(3) == 0 {
		o.BufferSize = smallBuffer
	}
	source := &source{member: w.member, tally: w.tally, life: shortLife}
	switch random.IntN(5) {
	case 0:
		source.life = time.Hour
	case 1: // they expire on the open socket
	case 2:
		o.RefreshTokenBeforeExpire = renewBefore
		source.changing = true
	default:
		o.RefreshTokenBeforeExpire = renewBefore
	}
	var err error
	if w.it, err = client.Dial[event](ctx, source, o); err != nil {
		return nil, fmt.Errorf("client %s: %w", w.id(), err)
	}
	calling, stop := context.WithCancel(ctx)
	w.stopCalls = stop
	go w.call(calling, random)
	go w.read()
	return w, nil
}

// pause returns a backoff: mostly a short one, and sometimes one in which brief rooms drop
// events.
func (w *watcher) pause(calm bool) time.Duration {
	if isBrief(w.room) && !calm && rand.IntN(4) == 0 { //nolint:gosec // it need not be hard to guess
		return rand.N(awayAtMost) //nolint:gosec // as above
	}
	return rand.N(100 * time.Millisecond) //nolint:gosec // as above
}

// note counts lost connections, but not failed attempts.
func (w *watcher) note(s client.State, _ error) {
	if s == client.StateWaiting && w.state == client.StateLive {
		w.tally.losses.Add(1)
	}
	w.state = s
}

// read ranges over the events.
func (w *watcher) read() {
	defer close(w.done)
	var last uint64
	for e, err := range w.it.Events() {
		if lost, ok := errors.AsType[*client.GapError](err); ok {
			w.items = append(w.items, item{gap: &gap{GapError: lost, at: time.Now()}})
			continue
		}
		if err != nil {
			w.err = err
			return
		}
		w.tally.yields.Add(1)
		position, ok := eventlog.ParsePosition(e.Meta.ID)
		if !ok || position.Seq <= last || e.Data.Mark.Room != w.room || e.Data != e.Data.Mark.event() {
			w.readBad = append(w.readBad, fmt.Errorf("event %v with id %q after number %d", e.Data.Mark, e.Meta.ID, last))
		}
		last = position.Seq
		if n := len(w.items); n > 0 && w.items[n-1].gap != nil {
			w.items[n-1].gap.next = time.Now()
		}
		w.items = append(w.items, item{place: e.Data.Mark.place(), seq: last})
		if e.Data.Mark.Last {
			return
		}
		if w.slow && len(w.items)%slowAfter == 0 {
			time.Sleep(slowness)
		}
	}
	w.err = errors.New("the iterator was closed")
}

// call calls a method from time to time. A call may only fail with its connection.
func (w *watcher) call(ctx context.Context, random *rand.Rand) {
	defer close(w.called)
	for n := 1; ; n++ {
		if sleep(ctx, time.Duration(random.Int64N(int64(time.Second)))) != nil {
			return
		}
		waiting, cancel := context.WithTimeout(ctx, patience)
		got, err := echo.Call(waiting, w.it, n)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && got == n:
			w.tally.calls.Add(1)
		case errors.Is(err, rpc.ErrDisconnected):
			w.tally.lostCalls.Add(1)
		case errors.Is(err, client.ErrClosed):
			return // read reports why
		default:
			w.callBad = append(w.callBad, fmt.Errorf("call %d: answer %d, %w", n, got, err))
		}
	}
}

// wait waits for the last event.
func (w *watcher) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the last event, state %v: %w", w.it.State(), ctx.Err())
	}
}

func (w *watcher) close() {
	w.stopCalls()
	<-w.called
	_ = w.it.Close()
	<-w.done
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
