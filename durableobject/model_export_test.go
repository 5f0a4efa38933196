package durableobject

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

// LogOf gives the log of a namespace, also one of its own: the model test reads
// the order of events there. It is nil where nothing is kept.
func LogOf[H any](ns *Namespace[H]) eventlog.Log { return ns.core.log }

// Behind tells whether a socket was too slow for what is published, and reads it
// from the log. The model test counts that.
func Behind(ws *Websocket) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.sub != nil && ws.sub.behind
}

// Joined counts the lists in which the namespace and its objects have sockets.
func Joined[H any](ns *Namespace[H]) int {
	c := ns.core
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := len(c.sockets)
	for _, ch := range c.channels {
		ch.mu.Lock()
		n += len(ch.sockets) + len(ch.byTag) + len(ch.byID)
		for _, g := range ch.groups {
			n += len(g.sockets)
		}
		ch.mu.Unlock()
	}
	return n
}
