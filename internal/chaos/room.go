package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	rooms = 12
	// briefRooms is the number of rooms, the last ones, that keep their events for a short
	// time.
	briefRooms = 3

	briefRetention = 2 * time.Second
	// keptRetention is longer than any run.
	keptRetention = time.Hour
	// segmentBytes is small, so that there are many segments.
	segmentBytes = 256 << 10

	secret = token.Secret("a secret for the chaos test")
)

func isBrief(room int) bool { return room >= rooms-briefRooms }

// kindOf returns the kind of a room, which is also the path of such rooms and the directory
// of their log.
func kindOf(room int) string {
	if isBrief(room) {
		return "brief"
	}
	return "kept"
}

// retentionOf returns how long rooms of a kind keep their events.
func retentionOf(kind string) time.Duration {
	if kind == "brief" {
		return briefRetention
	}
	return keptRetention
}

func channelOf(room int) string { return fmt.Sprintf("room-%d", room) }

// echo is the method of the rooms.
var echo = rpc.Define[int, int]("echo")

type room struct{ *durableobject.Object[event] }

func (r *room) Echo(_ context.Context, _ *durableobject.Websocket, n int) (int, error) { return n, nil }

// house has the rooms of one kind.
type house struct {
	log   *filelog.Log
	rooms *durableobject.Namespace[*room]
}

func openHouse(dir, kind string) (*house, error) {
	log, err := filelog.Open(dir, &filelog.Options{Sync: filelog.SyncCommit, SegmentBytes: segmentBytes})
	if err != nil {
		return nil, err
	}
	h := &house{log: log}
	h.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[event]) (*room, error) {
		return &room{o}, nil
	}, &durableobject.Options{
		Verifier: secret, ResumeRetention: retentionOf(kind), Log: log, TrimLog: true,
		MaxLagBytes: 64 << 10, PingInterval: 2 * time.Second,
	})
	durableobject.Handle(h.rooms, echo, (*room).Echo)
	return h, log.Report().Err()
}

// close closes the rooms, and then their log.
func (h *house) close(ctx context.Context) error {
	if err := h.rooms.Shutdown(ctx); err != nil {
		return err
	}
	return h.log.Close()
}
