package durableobject

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// DefaultPresenceGrace is the default of PresenceOptions.Grace.
const DefaultPresenceGrace = 5 * time.Second

const (
	// maxAttBytes is the size of the largest attachment that a Member has.
	maxAttBytes = 1 << 10
	// presenceWait is how long Presence waits for other nodes.
	presenceWait = 250 * time.Millisecond
)

var (
	// ErrNoPresence is returned by the methods about presence if Options.Presence is nil.
	ErrNoPresence = errors.New("presence is off")
	// ErrPresenceLag is the error of PresenceChanges if the loop is too slow: more than 10,000 changes
	// are waiting, and more than there are members. Range again to begin with all members.
	ErrPresenceLag = errors.New("too far behind the changes of presence")
)

// PresenceOptions configures presence: see [Object.Presence]. The zero value selects the defaults.
type PresenceOptions struct {
	// Grace is how long a client stays a member after its last socket has closed, so that reloading
	// a page, losing the network for a short time and moving to another node change nothing. 0 means
	// 5 s; a negative value means no grace period. A client that was sent away with Disconnect or
	// Revoke has none. On each node at most 20,000 clients of an object
	// can be in the grace period; if there are more, the one that has been disconnected longest
	// leaves at once, because a client can use one token with any number of ids.
	Grace time.Duration
}

// Recipient identifies a client that an event is for: see [WithTargetRecipients].
type Recipient = eventlog.Recipient

// Member is a client that is connected to any node: all sockets with the same id and, if there is
// Options.Subject, the same subject.
type Member struct {
	Recipient

	// Tags are the tags of its newest token.
	Tags []string
	// Att is the attachment of its newest token, which clients can read. It is nil if there
	// is none or it is larger than 1 KiB.
	Att json.RawMessage
	// Since is when it became a member. Reconnecting in the grace period does not change it.
	Since time.Time
	// Sockets is the number of its sockets, 0 in the grace period.
	Sockets int
}

// Presence lists the clients that are connected to an object.
type Presence struct {
	// Members are in order of Since.
	Members []Member
	// Silent has the names of the nodes from which nothing has arrived for 6 s, or whose
	// members have not arrived yet. Their members may be missing, or may have left.
	Silent []string
}

// PresenceKind is the kind of a [PresenceChange].
type PresenceKind string

const (
	// PresenceJoined means that a client has become a member, or was one when the loop began.
	PresenceJoined PresenceKind = "joined"
	// PresenceChanged means that the token or the number of sockets of a member has changed.
	PresenceChanged PresenceKind = "changed"
	// PresenceLeft means that a member has left, after the grace period.
	PresenceLeft PresenceKind = "left"
)

// PresenceChange is a change of the members of an object. If the member has left, Member is its
// last state.
type PresenceChange struct {
	Kind   PresenceKind
	Member Member
}
