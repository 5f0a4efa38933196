package durableobject

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// nodeTimeout is how long a node may be silent before it is considered dead.
const nodeTimeout = 15 * time.Second

// neighbours has the other nodes that are not considered dead.
type neighbours struct {
	name  string    // of this node
	began time.Time // when this node was started

	guard sync.Mutex
	known map[string]node // by name; guarded by guard
}

// node is another node.
type node struct {
	heard time.Time // time of its last message
	born  int64     // its own time of start, in Unix nanoseconds
	// hearsay is set if only other nodes have received messages of it.
	hearsay bool
}

// hearsay is what a node reports about another one.
type hearsay struct {
	Born  int64         `json:"born"`
	Heard time.Duration `json:"heard"` // how long ago
}

func newNeighbours(name string) neighbours {
	return neighbours{name: name, began: time.Now(), known: map[string]node{}}
}

// hear records that a node has sent a message.
func (n *neighbours) hear(name string, born int64) {
	n.guard.Lock()
	defer n.guard.Unlock()
	n.known[name] = node{heard: time.Now(), born: born}
}

// forget removes a node, and reports whether it was known.
func (n *neighbours) forget(name string) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	_, found := n.known[name]
	delete(n.known, name)
	return found
}

// silent returns the nodes that must be considered dead, with the times of their last messages. With
// wasCut it returns none, and each node has as much time as if it had just sent a message.
func (n *neighbours) silent(wasCut bool) map[string]time.Time {
	n.guard.Lock()
	defer n.guard.Unlock()
	dead := map[string]time.Time{}
	for name, other := range n.known {
		if wasCut {
			other.heard = time.Now()
			n.known[name] = other
		} else if time.Since(other.heard) >= nodeTimeout {
			dead[name] = other.heard
		}
	}
	return dead
}

// unheard returns the names of the nodes that have been silent for a time.
func (n *neighbours) unheard(d time.Duration) (names []string) {
	n.guard.Lock()
	defer n.guard.Unlock()
	for name, other := range n.known {
		if time.Since(other.heard) > d {
			names = append(names, name)
		}
	}
	return names
}

// hearsay returns what this node knows about the other nodes, for a message to them.
func (n *neighbours) hearsay() map[string]hearsay {
	n.guard.Lock()
	defer n.guard.Unlock()
	all := make(map[string]hearsay, len(n.known))
	for name, other := range n.known {
		all[name] = hearsay{other.born, time.Since(other.heard)}
	}
	return all
}

// learn adds a node that another node knows. It reports whether this node has not received a message
// of it.
func (n *neighbours) learn(name string, h hearsay) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	other, found := n.known[name]
	if !found && h.Heard < nodeTimeout {
		other = node{heard: time.Now().Add(-h.Heard), born: h.Born, hearsay: true}
		n.known[name] = other
	}
	return other.hearsay
}

// isOldest reports whether this node has been running longer than all others, by their own times of
// start, so that all nodes agree on the oldest.
func (n *neighbours) isOldest() bool {
	name, _ := n.oldest()
	return name == ""
}

// oldest returns the name of the oldest node and the time of its last message. The name is empty if
// it is this node.
func (n *neighbours) oldest() (name string, heard time.Time) {
	n.guard.Lock()
	defer n.guard.Unlock()
	born, first := n.began.UnixNano(), n.name
	for other, is := range n.known {
		if cmp.Or(cmp.Compare(is.born, born), strings.Compare(other, first)) < 0 {
			born, first = is.born, other
			name, heard = other, is.heard
		}
	}
	return name, heard
}

// knows reports whether a node is known and not considered dead.
func (n *neighbours) knows(name string) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	_, found := n.known[name]
	return found
}

// others returns the names of the other nodes that are known and not considered dead.
func (n *neighbours) others() []string {
	n.guard.Lock()
	defer n.guard.Unlock()
	return slices.Sorted(maps.Keys(n.known))
}

// heardWithin reports whether a message of a node was received within a time.
func (n *neighbours) heardWithin(name string, d time.Duration) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	other, found := n.known[name]
	return found && time.Since(other.heard) < d
}
