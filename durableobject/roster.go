package durableobject

import (
	"container/list"
	"encoding/json"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// memberKey names a member of a channel.
type memberKey struct {
	channel string
	Recipient
}

// claim is what a node knows about its own sockets of a member. Nodes send their claims to each
// other. A client is a member while any node has a claim to it.
//
// One claim to each member is announced. Its node has called OnJoined, or has taken over from a node
// that has, and will call OnLeft. If a node has to drop an announced claim while other nodes have
// claims, it keeps its claim as yielding until one of them has announced its own.
type claim struct {
	Tags      []string        `json:"tags,omitempty"`
	Att       json.RawMessage `json:"att,omitempty"`
	Issued    time.Time       `json:"iat"` // of the token that Tags and Att are from
	Since     time.Time       `json:"since"`
	Sockets   int             `json:"n"`
	Announced bool            `json:"announced,omitempty"`
	Yielding  bool            `json:"yielding,omitempty"`
	Joined    bool            `json:"joined,omitempty"`  // as the node sees the member
	Joining   bool            `json:"joining,omitempty"` // its OnJoined has not returned

	node string

	// These are only for claims of this node. ended is set when the grace period has passed.
	// During that period, the others are the claim's elements of members.departures and
	// roster.away.
	ended           bool
	departing, away *list.Element
}

// read takes the tags and the attachment from a token, unless the claim has those of a newer one.
func (c *claim) read(p *token.Payload) {
	if p.IssuedAt.Before(c.Issued) {
		return
	}
	c.Tags, c.Att, c.Issued = p.Tags, nil, p.IssuedAt
	if len(p.Att) <= maxAttBytes {
		c.Att = p.Att
	}
}

// debt is a call of OnLeft that a node has queued and that has not returned. The other nodes know
// it, so that one of them makes the call if the node is killed.
type debt struct {
	Tags    []string        `json:"tags,omitempty"`
	Att     json.RawMessage `json:"att,omitempty"`
	Since   time.Time       `json:"since"`
	Joining bool            `json:"joining,omitempty"` // OnJoined has not returned either

	calls int // number of calls of OnLeft that have not returned
}

// member is a client with the claims of all nodes to it, of which there is at least one.
type member struct {
	claims []*claim
	joined bool // a claim was announced
}

func (m *member) claim(node string) *claim {
	for _, c := range m.claims {
		if c.node == node {
			return c
		}
	}
	return nil
}

// set adds a claim, or replaces the earlier claim of the same node.
func (m *member) set(c *claim) {
	m.joined = m.joined || c.Announced || c.Joined
	for i, old := range m.claims {
		if old.node == c.node {
			m.claims[i] = c
			return
		}
	}
	m.claims = append(m.claims, c)
}

func (m *member) remove(node string) {
	for i, c := range m.claims {
		if c.node == node {
			m.claims = append(m.claims[:i], m.claims[i+1:]...)
			return
		}
	}
}

// view returns the member as the application sees it.
func (m *member) view(r Recipient) Member {
	newest := m.claims[0]
	v := Member{Recipient: r, Since: newest.Since}
	for _, c := range m.claims {
		v.Sockets += c.Sockets
		if c.Since.Before(v.Since) {
			v.Since = c.Since
		}
		if c.Issued.After(newest.Issued) {
			newest = c
		}
	}
	v.Tags, v.Att = newest.Tags, newest.Att
	return v
}

// verdict is what a node must do about its own claim to a member.
type verdict int

const (
	doNothing    verdict = iota
	doJoin               // announce, and call OnJoined
	doAnnounce           // take over from a node that is gone or yielding
	doDemote             // leave it to another node, which has announced too
	doYield              // wait for another node to announce
	doDrop               // the claim
	doDropAndBye         // and call OnLeft
)

// decide returns what a node must do about its claim. It is called after any claim to the member has
// changed, and when a node is gone or has returned. gone reports whether a node is gone, so that its
// claims will be dropped.
func (m *member) decide(node string, gone func(node string) bool) verdict {
	own := m.claim(node)
	if own == nil {
		return doNothing
	}
	others, there, announced, lowest := 0, 0, "", true
	for _, c := range m.claims {
		if c == own || c.Yielding {
			continue
		}
		if others++; !gone(c.node) {
			there++
		}
		lowest = lowest && node < c.node
		if c.Announced && (announced == "" || c.node < announced) {
			announced = c.node
		}
	}
	switch {
	case own.ended && !m.joined:
		return doDrop // another node has called OnLeft, or none has called OnJoined
	// The oldest node may already have dropped the claims of the nodes that are gone. Because of this
	// claim it has not called OnLeft, so this node does when it drops them too.
	case own.ended && others > 0 && there == 0 && own.Announced && !own.Yielding:
		return doYield
	case own.ended && others > 0 && there == 0 && m.joined:
		return doNothing
	case own.ended && !own.Announced && len(m.claims) == 1 && m.joined:
		return doDropAndBye
	case own.ended && !own.Announced:
		return doDrop
	case own.ended && others == 0:
		return doDropAndBye
	case own.ended && announced != "":
		return doDrop
	case own.ended && !own.Yielding:
		return doYield
	case own.ended:
		return doNothing
	case !m.joined:
		return doJoin
	case own.Announced && announced != "" && announced < node:
		return doDemote
	case !own.Announced && announced == "" && lowest:
		return doAnnounce
	}
	return doNothing
}

// roster has the members of a channel and their watchers. It exists while there is a member or a
// watcher.
type roster struct {
	members  map[Recipient]*member
	watchers map[*watcher]struct{}
	away     list.List // memberKeys of claims of this node in the grace period, the oldest first
}

// tell passes a change to the watchers.
func (r *roster) tell(kind PresenceKind, m Member) {
	for w := range r.watchers {
		w.add(PresenceChange{kind, m}, len(r.members))
	}
}
