package durableobject

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

// LogOf returns the log of a namespace, even its own. The model test reads the order of events
// from it. It is nil if no events are kept.
func LogOf[H any](ns *Namespace[H]) eventlog.Log { return ns.class.log }

// Behind reports whether a socket is too slow for live events and reads from the log. The model
// test counts these.
func Behind(ws *Websocket) bool { return ws.reader.Behind() }

// Joined returns the number of sockets of the namespace and of its channels.
func Joined[H any](ns *Namespace[H]) int {
	c := ns.class
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := len(c.sockets.all)
	for _, ch := range c.channels.all {
		n += len(ch.events.Sinks(nil))
	}
	return n
}

// PresenceTimers returns how many timers of presence are set, and stops them.
func PresenceTimers[H any](ns *Namespace[H]) (n int) {
	p := ns.class.members
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, timer := range append(p.settling, p.timer) {
		if timer != nil && timer.Stop() {
			n++
		}
	}
	return n
}

// Locked reports whether the sockets of a namespace cannot be listed now.
func Locked[H any](ns *Namespace[H]) bool {
	if ns.class.mu.TryRLock() {
		ns.class.mu.RUnlock()
		return false
	}
	return true
}
