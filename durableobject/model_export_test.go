package durableobject

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

// LogOf gives the log of a namespace, also one of its own: the model test reads
// the order of events there. It is nil where nothing is kept.
func LogOf[H any](ns *Namespace[H]) eventlog.Log { return ns.core.log }

// Behind reports whether a socket was too slow for what is published, and reads it
// from the log. The model test counts that.
func Behind(ws *Websocket) bool { return ws.reader.Behind() }

// Joined returns the number of sockets of the namespace and of its channels.
func Joined[H any](ns *Namespace[H]) int {
	c := ns.core
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := len(c.sockets)
	for _, ch := range c.channels {
		n += len(ch.events.Sinks(nil))
	}
	return n
}
