package natslog_test

import (
	"context"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/natslog"
	"github.com/go-orpc/durable-iterator/token"
)

// The code in docs/nodes.md is compiled here, but not run: it needs three servers.
var _ = serveRooms

func newRoom(_ context.Context, o *durableobject.Object[string]) (*durableobject.Object[string], error) {
	return o, nil
}

func serveRooms(ctx context.Context, nc *nats.Conn, key token.Secret, mux *http.ServeMux) error {
	log, err := natslog.Open(ctx, nc, &natslog.Options{Stream: "CHAT", Replicas: 3, Retention: time.Hour})
	if err != nil {
		return err
	}
	rooms := durableobject.NewNamespace(newRoom, &durableobject.Options{
		Verifier: key, ResumeRetention: time.Hour, Log: log,
	})
	mux.Handle("/room", durableobject.NewHandler(rooms, nil))
	return nil
}
