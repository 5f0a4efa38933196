package durableobject

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// node is another node.
type node struct {
	heard time.Time // last
	born  int64     // as it says
	// hearsay is set if only others have heard of it.
	hearsay bool
}

// bury forgets the nodes that have not been heard for long, unless it is this one that
// cannot hear, or could not until now.
func (n *nodes) bury(wasCut bool) {
	if !n.connected() {
		return
	}
	n.mu.Lock()
	dead := map[string]time.Time{}
	for name, other := range n.known {
		if wasCut {
			other.heard = time.Now()
			n.known[name] = other
		} else if time.Since(other.heard) >= nodeTimeout {
			dead[name] = other.heard
		}
	}
	n.mu.Unlock()
	for name, heard := range dead {
		n.core.logger.Warn("another node is silent", "node", name)
		n.gone(name, heard)
	}
}

func (n *nodes) gone(name string, since time.Time) {
	n.mu.Lock()
	_, found := n.known[name]
	delete(n.known, name)
	n.mu.Unlock()
	if found && n.onGone != nil {
		n.onGone(name, since)
	}
}

// unheard returns the names of the nodes that were not heard for a time.
func (n *nodes) unheard(d time.Duration) (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, other := range n.known {
		if time.Since(other.heard) > d {
			names = append(names, name)
		}
	}
	return names
}

// hearsay returns what this node knows of the others.
func (n *nodes) hearsay() map[string]hearsay {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[string]hearsay, len(n.known))
	for name, other := range n.known {
		all[name] = hearsay{other.born, time.Since(other.heard)}
	}
	return all
}

// learn notes that another node knows of one. It reports whether this one has not heard of
// it itself.
func (n *nodes) learn(name string, h hearsay) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	other, found := n.known[name]
	if !found && h.Heard < nodeTimeout {
		other = node{heard: time.Now().Add(-h.Heard), born: h.Born, hearsay: true}
		n.known[name] = other
	}
	return other.hearsay
}

// isOldest reports whether this node has been there for longer than all others, by what
// they say: all nodes agree on which one has.
func (n *nodes) isOldest() bool {
	name, _ := n.oldest()
	return name == ""
}

// oldest returns the node that has been there for longest and when it was heard last, no
// name if it is this one.
func (n *nodes) oldest() (name string, heard time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
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
func (n *nodes) knows(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, found := n.known[name]
	return found
}

// others returns the names of the other nodes that are taken to be there.
func (n *nodes) others() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.known))
}

// heardWithin reports whether a node was heard within a time.
func (n *nodes) heardWithin(name string, d time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	other, found := n.known[name]
	return found && time.Since(other.heard) < d
}
