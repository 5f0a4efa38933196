package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// watcher is a client that records the events it receives. It connects to any node.
type watcher struct {
	mu     sync.Mutex
	seen   []string
	gaps   int
	failed error
}

func newToken(ctx context.Context, channel string) (string, error) {
	now := time.Now()
	return secret.Sign(ctx, &token.Payload{Channel: channel, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour)})
}

func watch(ctx context.Context, channel string, nodes []*node) (*watcher, <-chan struct{}, error) {
	tok, err := newToken(ctx, channel)
	if err != nil {
		return nil, nil, err
	}
	w, done := &watcher{}, make(chan struct{})
	it, err := client.Dial[event](ctx, client.StaticToken(tok), &client.Options{
		URLFunc: func(context.Context, *token.Payload) (string, error) {
			return nodes[rand.IntN(len(nodes))].url(), nil
		},
		Backoff:     func(int) time.Duration { return time.Duration(rand.IntN(500)) * time.Millisecond },
		DialTimeout: 5 * time.Second,
		OnGap: func(context.Context, *client.GapError) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.gaps++
		},
	})
	if err != nil {
		return nil, nil, err
	}
	go func() {
		defer close(done)
		for e, err := range it.All() {
			if err == nil {
				w.see(e.Text)
			} else if !errors.Is(err, context.Canceled) {
				w.fail(err)
			}
		}
	}()
	return w, done, nil
}

func (w *watcher) see(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, event)
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

// count returns the number of events that w has received.
func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}
