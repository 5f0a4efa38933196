package durableobject

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// nodeTimeout is how long a node may send nothing before it is taken for dead.
const nodeTimeout = 15 * time.Second

// neighbours are the other nodes that are taken to be there.
type neighbours struct {
	name  string    // of this node
	began time.Time // when this node did

	guard sync.Mutex
	known map[string]node // by name; guarded by guard
}

// node is another node.
type node struct {
	heard time.Time // last
	born  int64     // as it says
	// hearsay is set if only others have heard of it.
	hearsay bool
}

// hearsay is what a node knows of another one.
type hearsay struct {
	Born  int64         `json:"born"`
	Heard time.Duration `json:"heard"` // how long ago
}

func newNeighbours(name string) neighbours {
	return neighbours{name: name, began: time.Now(), known: map[string]node{}}
}

// hear notes that a node has sent something.
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

// silent returns the nodes that are to be taken for dead, and when each was heard last. With
// wasCut there are none, and each has as much time as one that was heard now.
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

// unheard returns the names of the nodes that were not heard for a time.
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

// hearsay returns what this node knows of the others.
func (n *neighbours) hearsay() map[string]hearsay {
	n.guard.Lock()
	defer n.guard.Unlock()
	all := make(map[string]hearsay, len(n.known))
	for name, other := range n.known {
		all[name] = hearsay{other.born, time.Since(other.heard)}
	}
	return all
}

// learn notes that another node knows of one. It reports whether this one has not heard of
// it itself.
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

// isOldest reports whether this node has been there for longer than all others, by what
// they say: all nodes agree on which one has.
func (n *neighbours) isOldest() bool {
	name, _ := n.oldest()
	return name == ""
}

// oldest returns the node that has been there for longest and when it was heard last, no
// name if it is this one.
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

// knows reports whether a node is taken to be there.
func (n *neighbours) knows(name string) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	_, found := n.known[name]
	return found
}

// others returns the names of the other nodes that are taken to be there.
func (n *neighbours) others() []string {
	n.guard.Lock()
	defer n.guard.Unlock()
	return slices.Sorted(maps.Keys(n.known))
}

// heardWithin reports whether a node was heard within a time.
func (n *neighbours) heardWithin(name string, d time.Duration) bool {
	n.guard.Lock()
	defer n.guard.Unlock()
	other, found := n.known[name]
	return found && time.Since(other.heard) < d
}
