package durableobject

import (
	"slices"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

// group is the sockets of a channel that one writer writes to. An event for
// everybody is not offered to each of them by the publisher, but to the group, and
// its writer walks over them. The fields are guarded by the channel's mu, which is let
// go of on the way, so that a publisher waits for a few sockets at the most.
//
//   - from is the oldest record that the group was offered since its last walk began,
//     nil if there is none.
//   - walking is the record that the walk under way began with, nil if there is none.
//     The sockets up to walked were offered it, the others not yet.
//   - A socket that is offered a record by itself has to be offered walking and from
//     first: see meet.
type group struct {
	ch      *channel
	task    *socket.Task
	sockets []*Websocket
	from    *node
	walking *node
	walked  int
	found   []*Websocket // of the writer, while it runs
}

// stride is how many sockets a walk looks at before it lets others in.
const stride = 64

func newGroup(ch *channel, writer int) *group {
	g := &group{ch: ch}
	g.task = ch.core.pool.NewTask(writer, g.walk)
	return g
}

// offer has the writer offer a record, and those behind it, to the sockets.
func (g *group) offer(n *node) {
	if g.from == nil && len(g.sockets) > 0 {
		g.from = n
		g.task.Wake()
	}
}

// pending tells whether the sockets have still to be offered something.
func (g *group) pending() bool { return g.from != nil || g.walking != nil }

// walk offers the sockets what the group was offered, and sends what they have. It
// runs on the group's writer.
func (g *group) walk(flush func(*socket.Conn)) {
	for more := true; more; {
		more = g.step()
		for _, ws := range g.found {
			flush(&ws.conn)
		}
		clear(g.found)
		g.found = g.found[:0]
	}
}

// step goes on with the walk, or begins one, and tells whether it has not come to the
// end.
func (g *group) step() (more bool) {
	g.ch.mu.Lock()
	defer g.ch.mu.Unlock()
	if g.walking == nil {
		g.walking, g.from, g.walked = g.from, nil, 0
	}
	if g.walking == nil {
		return false
	}
	end := min(g.walked+stride, len(g.sockets))
	for _, ws := range g.sockets[g.walked:end] {
		if ws.accept(g.walking) {
			g.found = append(g.found, ws)
		}
	}
	g.walked = end
	if more = end < len(g.sockets); !more {
		g.walking = nil
	}
	return more
}

// remove takes a socket out. The last one takes its place, which may be behind the
// walk, so it is offered now what it would have been offered.
func (g *group) remove(ws *Websocket) {
	i := slices.Index(g.sockets, ws)
	if i < 0 {
		return
	}
	last := len(g.sockets) - 1
	moved := g.sockets[last]
	g.sockets[i], g.sockets[last] = moved, nil
	g.sockets = g.sockets[:last]
	g.walked = min(g.walked, last)
	moved.meet(nil)
}
