package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// smallBuffer is the buffer size of every other client. It overflows at each replay, so
// that the iterator subscribes again while the server is killed and restarted.
const smallBuffer = 64

// watcher is a client that ranges over the events until the last one.
type watcher struct {
	it          *client.Iterator[event]
	connections atomic.Int64
	done        chan struct{}

	// The results, valid when done is closed.
	got  *history
	gaps []error
	err  error // why the iterator ended before the last event
}

func startWatcher(ctx context.Context, addr string, number int) (*watcher, error) {
	w := &watcher{done: make(chan struct{}), got: newHistory()}
	o := &client.Options{
		URL:     "ws://" + addr + "/",
		Backoff: client.FullJitter(10*time.Millisecond, 30*time.Millisecond),
		OnStateChange: func(s client.State, _ error) {
			if s == client.StateLive {
				w.connections.Add(1)
			}
		},
	}
	if number%2 == 1 {
		o.BufferSize = smallBuffer
	}
	var err error
	w.it, err = client.Dial[event](ctx, client.TokenFunc(newToken), o)
	if err != nil {
		return nil, err
	}
	go w.watch()
	return w, nil
}

func newToken(ctx context.Context) (string, error) {
	now := time.Now()
	return secret.Sign(ctx, &token.Payload{Channel: channel, IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
}

func (w *watcher) watch() {
	defer close(w.done)
	for e, err := range w.it.Events() {
		switch {
		case errors.Is(err, client.ErrGap):
			w.gaps = append(w.gaps, err)
			continue
		case err != nil:
			w.err = err
			return
		}
		w.got.add(e.Meta.ID, e.Data)
		if e.Data.Mark.Publisher == 0 {
			return
		}
	}
	w.err = errors.New("the iterator was closed")
}

// wait waits for the last event.
func (w *watcher) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watcher) close() {
	_ = w.it.Close()
	<-w.done
}
