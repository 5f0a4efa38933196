package durableobject

import (
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/fanout"
)

// Recipient names a client that an event is for: see [WithTargetRecipients].
type Recipient = eventlog.Recipient

// channel is the core of an object, without its Go types: the events of a channel and
// the sockets that read them. It exists from first use until it has been idle for a
// while; see life.go.
type channel struct {
	core   *core
	name   string
	events *fanout.Channel

	pins    atomic.Int64 // users; see life.go
	touched atomic.Int64 // Unix nanoseconds at which the last user left
	opened  once         // of the channel
	hubOnce once         // of the hub
	hub     any          // the application's object, after hubOnce
	maker   *making      // of the hub, while it is made; see making.go
}

func newChannel(c *core, name string) *channel {
	return &channel{core: c, name: name, events: fanout.New(&c.events, name)}
}

// connected returns the sockets that have one of the tags, all with nil.
func (ch *channel) connected(tags []string) []*Websocket {
	sinks := ch.events.Sinks(tags)
	list := make([]*Websocket, 0, len(sinks))
	for _, sink := range sinks {
		if e, ok := sink.(*endpoint); ok {
			list = append(list, (*Websocket)(e))
		}
	}
	return list
}
