package main

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Job is an event: the progress of some work.
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

// Publish is for services: it publishes an event from a process that does not have the
// sockets.
var Publish = rpc.Define[PublishInput, rpc.Void]("publish")

type PublishInput struct {
	Channel string `json:"channel" validate:"required"`
	Event   Job    `json:"event"`

	// Tags are the tags of the event; null means everybody. There is no omitempty here,
	// because an empty list means nobody and must not become null.
	Tags      []string `json:"tags"`
	TargetIDs []string `json:"targetIds"`

	ExcludeIDs []string `json:"excludeIds"`
	Meta       Meta     `json:"meta"`
}

// Meta is the metadata of an event, without the id, which the log chooses.
type Meta struct {
	RetryMS  int64    `json:"retryMs" validate:"min=0"`
	Comments []string `json:"comments"`
}
