package fanout

import (
	"context"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// Options configures the channels of a namespace. It must not be changed once a channel was
// created with it.
type Options struct {
	// Log stores records. Nil means that records are not stored.
	Log eventlog.Log

	// Shared is Log if other processes append to it too, and otherwise nil.
	Shared eventlog.Shared

	// SoleWriter is set if only these channels append to Log.
	SoleWriter bool

	// Retention is the age from which on records are not replayed, even if Log still has
	// them. 0 means that only Log limits the age.
	Retention time.Duration

	// Latest is the number of records with which a subscription without a last event id
	// begins: the newest ones for its client, among the newest LatestScan. 0 means none.
	Latest, LatestScan int

	// MaxLagBytes limits the part of the tail that a slow reader keeps in memory.
	MaxLagBytes int

	// Pool has the writers of the sinks.
	Pool *socket.Pool

	// After calls fn on a separate goroutine when d has passed, until the namespace shuts
	// down. The context ends then, and the namespace waits for calls that have begun.
	After func(d time.Duration, fn func(context.Context)) *time.Timer
}
