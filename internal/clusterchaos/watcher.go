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

// watcher is a client that keeps what it sees. It connects to any node.
type watcher struct {
	mu     sync.Mutex
	seen   []string
	gaps   int
	failed error
}

func watch(ctx context.Context, channel string, nodes []*node) (*watcher, <-chan struct{}, error) {
	tok, err := secret.Sign(ctx, &token.Payload{Channel: channel, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(24 * time.Hour)})
	if err != nil {
		return nil, nil, err
	}
	w, done := &watcher{}, make(chan struct{})
	it, err := client.Dial[string](ctx, client.StaticToken(tok), &client.Options{
		URLFunc: func(context.Context, *token.Payload) (string, error) {
			return "ws" + nodes[rand.IntN(len(nodes))].web.URL[len("http"):], nil
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
		for event, err := range it.All() {
			w.mu.Lock()
			if err == nil {
				w.seen = append(w.seen, event)
			} else if !errors.Is(err, context.Canceled) {
				w.failed = err
			}
			w.mu.Unlock()
		}
	}()
	return w, done, nil
}

// count returns how many events w has seen.
func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}
