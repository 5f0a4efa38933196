package main

import (
	"maps"
	"slices"
	"sync"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// roster is the list of who is in a room. The zero value is empty.
type roster struct {
	mu      sync.Mutex // guards what follows
	sockets map[*durableobject.Websocket]string
	changed chan struct{} // closed at the next change, nil if nobody waits for it
}

// names returns the names of those who are here, sorted, and a channel that is closed
// when that changes.
func (r *roster) names() ([]string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	names := slices.AppendSeq([]string{}, maps.Values(r.sockets)) // not nil, which is no list for a page
	slices.Sort(names)
	return slices.Compact(names), r.changed
}

func (r *roster) add(ws *durableobject.Websocket) {
	r.change(func() {
		if r.sockets == nil {
			r.sockets = map[*durableobject.Websocket]string{}
		}
		r.sockets[ws] = name(ws)
	})
}

func (r *roster) remove(ws *durableobject.Websocket) {
	r.change(func() { delete(r.sockets, ws) })
}

func (r *roster) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
