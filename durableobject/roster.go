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

// claim is what a node knows of its own sockets of a member. Nodes send their claims to each
// other; a member is there as long as there is a claim to it.
//
// One claim of each member is announced: its node has called OnJoined, or has taken that over,
// and calls OnLeft. A node that is to drop an announced claim while others have claims is
// yielding, until one of them has announced its own.
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

	// These are of own claims: whether the grace has passed, and while it has not, the elements
	// of members.departures and roster.away.
	ended           bool
	departing, away *list.Element
}

// read takes tags and attachment from a token, unless they are from a newer one.
func (c *claim) read(p *token.Payload) {
	if p.IssuedAt.Before(c.Issued) {
		return
	}
	c.Tags, c.Att, c.Issued = p.Tags, nil, p.IssuedAt
	if len(p.Att) <= maxAttBytes {
		c.Att = p.Att
	}
}

// debt is a member whose OnLeft a node has still to call, or that has not returned. The other
// nodes know of it: if the node is killed, one of them calls it.
type debt struct {
	Tags    []string        `json:"tags,omitempty"`
	Att     json.RawMessage `json:"att,omitempty"`
	Since   time.Time       `json:"since"`
	Joining bool            `json:"joining,omitempty"` // OnJoined has not returned either

	calls int // of OnLeft, that have not returned
}

// member is a client with its claims, of which there is at least one.
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

// set puts a claim in place of that of its node.
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

// verdict is what a node does about its own claim to a member.
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

// decide returns what the node does about its claim, after a claim to the member has changed, or
// a node is gone or back.
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
		return doDrop // another node has called OnLeft, or nobody OnJoined
	// The oldest node may have dropped the claims of those that are gone already, and it called no
	// OnLeft because of this claim. So this node does when it drops them too.
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

// roster has the members of a channel and their watchers. It exists while there is one of
// either.
type roster struct {
	members  map[Recipient]*member
	watchers map[*watcher]struct{}
	away     list.List // of memberKeys: own claims within the grace, the oldest first
}

// tell passes a change to the watchers.
func (r *roster) tell(kind PresenceKind, m Member) {
	for w := range r.watchers {
		w.add(PresenceChange{kind, m}, len(r.members))
	}
}
