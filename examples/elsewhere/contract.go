package main

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Job is an event: how far some work has come.
type Job struct {
	Name string `json:"name"`
	Done int    `json:"done"`
}

// Watch returns the jobs of a team.
var Watch = durableiterator.Define[WatchInput, Job]("watch")

type WatchInput struct {
	Team string   `json:"team" validate:"required"`
	Tags []string `json:"tags"`
}

// Publish is for services: it publishes an event from a process that holds none of
// the sockets.
var Publish = rpc.Define[PublishInput, rpc.Void]("publish")

type PublishInput struct {
	Channel string `json:"channel" validate:"required"`
	Event   Job    `json:"event"`

	// The tags that the event is for; null is everyone. There is no omitempty here: an
	// empty list is no one, and must not become null on its way.
	Tags      []string `json:"tags"`
	TargetIDs []string `json:"targetIds"`

	ExcludeIDs []string `json:"excludeIds"`
	Meta       Meta     `json:"meta"`
}

// Meta is metadata of an event. Its id is up to the log.
type Meta struct {
	RetryMS  int64    `json:"retryMs" validate:"min=0"`
	Comments []string `json:"comments"`
}
