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
	// ErrPresenceLag ends the changes of a reader that is too slow: more than 10,000
	// members wait, and more than there are. Ranging anew begins with all members.
	ErrPresenceLag = errors.New("too far behind the changes of presence")
)

// PresenceOptions configures who is listed as present: see [Object.Presence]. The zero
// value selects the defaults.
type PresenceOptions struct {
	// Grace is how long a client stays a member after its last socket has closed, so that
	// a page that is loaded anew, a short loss of the network and a move to another node
	// are not seen. 0 is 5 s, negative is none. At most 20,000 clients of an object are
	// within the grace on one node. For one more, the one that has been away longest leaves
	// at once: clients choose their ids, and one token may come with any number of them.
	Grace time.Duration
}

// Recipient identifies a client that an event is for: see [WithTargetRecipients].
type Recipient = eventlog.Recipient

// Member is a client that is connected, to whichever node: all sockets with one id, of one
// subject if there is Options.Subject.
type Member struct {
	Recipient

	// Tags are those of its newest token.
	Tags []string
	// Att is the attachment of its newest token, which clients can read; nil if there is
	// none or it is larger than 1 KiB.
	Att json.RawMessage
	// Since is when it came. That it was away within the grace does not change it.
	Since time.Time
	// Sockets is how many it has, 0 within the grace.
	Sockets int
}

// Presence lists the clients that are connected to an object.
type Presence struct {
	// Members are in order of Since.
	Members []Member
	// Silent names the nodes that have not been heard for 6 s, or did not answer in time:
	// their members may be missing, or may have gone.
	Silent []string
}

// PresenceKind is what has become of a member.
type PresenceKind string

const (
	// PresenceJoined is the kind of a member that has come, or was there when the changes
	// began.
	PresenceJoined PresenceKind = "joined"
	// PresenceChanged is the kind of a member whose token or number of sockets has changed.
	PresenceChanged PresenceKind = "changed"
	// PresenceLeft is the kind of a member that is gone, after the grace.
	PresenceLeft PresenceKind = "left"
)

// PresenceChange is a change of the members of an object. Of one that has left, Member is
// as it was last.
type PresenceChange struct {
	Kind   PresenceKind
	Member Member
}
