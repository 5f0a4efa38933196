package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// hall is the object of the model.
type hall struct {
	*durableobject.Object[message]
	front *front
	place *place
	gone  atomic.Bool
}

// act publishes the post that the driver has prepared.
func (h *hall) act(ctx context.Context, _ *durableobject.Websocket, n int) (string, error) {
	h.place.mu.Lock()
	p := h.place.orders[n]
	h.place.mu.Unlock()
	if err := p.publish(ctx, h); err != nil && p.refused == nil {
		return "", err
	}
	return "acted", nil
}

// hookRun is a call of OnSubscribed.
type hookRun struct {
	visit    *visit
	resume   durableobject.Resume
	mood     string
	started  time.Time
	ended    bool
	done     time.Time
	sent     bool // Send returned no error
	snapshot string
	reading  *reading
}

// OnSubscribed does what the driver has chosen at random.
func (h *hall) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, res durableobject.Resume) error {
	w := h.place.world
	n, _ := readAtt(ws.Token())
	w.mu.Lock()
	run := &hookRun{visit: w.all[n], resume: res, mood: w.mood, started: time.Now()}
	run.snapshot = fmt.Sprint("snapshot ", len(w.posts), " ", len(w.runs), " ", n, " ", w.round)
	w.runs = append(w.runs, run)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		run.ended, run.done = true, time.Now()
		w.mu.Unlock()
	}()
	if strings.Contains(run.mood, "nap") {
		select {
		case <-time.After(w.hookTime / 2):
		case <-ctx.Done():
			return nil
		}
	}
	if strings.Contains(run.mood, "oversleep") {
		time.Sleep(w.hookTime + 5*time.Second)
	}
	if strings.Contains(run.mood, "publish") {
		p := w.newPost(h.place)
		if err := p.publish(ctx, h); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if strings.Contains(run.mood, "send") {
		err := ws.Send(ctx, message{run.snapshot})
		w.mu.Lock()
		run.sent = err == nil
		w.mu.Unlock()
	}
	switch {
	case strings.Contains(run.mood, "fail"):
		return errors.New("the hook fails")
	case strings.Contains(run.mood, "panic"):
		panic("the hook panics")
	}
	return nil
}

func (h *hall) OnDisconnected(ctx context.Context, _ *durableobject.Websocket) {
	if h.place.farewells {
		p := h.place.newPost(h.place)
		_ = p.publish(ctx, h) // the namespace may be shutting down: publish looks at that
	}
}

func (h *hall) OnEvicted(context.Context) {
	w := h.place.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.gone.Swap(true) {
		w.wrong = "an object was evicted twice"
	}
	w.sawf("an eviction")
	if open := h.place.open[h.front]; open > 0 && !w.ending {
		w.wrong = fmt.Sprintf("the object of %v was evicted under %d sockets", h.place, open)
	}
}

// newAtt returns the attachment of a token, which names its visit and its owner.
func newAtt(visit int, subject string) string { return fmt.Sprintf(`"%d.%s"`, visit, subject) }

func readAtt(p *payload) (visit int, subject string) {
	n, subject, _ := strings.Cut(strings.Trim(string(p.Att), `"`), ".")
	visit, _ = strconv.Atoi(n)
	return visit, subject
}
