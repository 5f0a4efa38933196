// Package library serves durable iterators for a load generator: one channel, events
// published in the process through the public API, with resume enabled and defaults for
// everything else.
package library

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bench/host"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	channel = "bench"
	secret  = token.Secret("bench")
)

// Retention is how long events are kept.
const Retention = 10 * time.Minute

// NewHandler returns a handler for sockets under /durable and their tokens under
// /bench/token. Events are stored in log, or in memory if it is nil, and published by the
// given number of goroutines.
func NewHandler(log eventlog.Log, publishers int) (http.Handler, error) {
	type events = durableobject.Object[host.Event]
	rooms := durableobject.NewNamespace(func(_ context.Context, o *events) (*events, error) {
		return o, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: Retention, Log: log})
	room, err := rooms.Get(context.Background(), channel)
	if err != nil {
		return nil, err
	}
	mux := host.NewMux(&host.Publisher{
		Parallel: publishers,
		Publish: func(ctx context.Context, event host.Event) error {
			return room.PublishEvent(ctx, event)
		},
	})
	mux.Handle("/durable", durableobject.NewHandler(rooms, nil))
	mux.HandleFunc("/bench/token", giveToken)
	return mux, nil
}

func giveToken(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	tok, err := secret.Sign(r.Context(), &token.Payload{Channel: channel, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour)})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"id": "bench", "token": tok})
}
