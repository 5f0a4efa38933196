package durableobject

import "time"

// claimBytes limits the size of the encoded claims of a message. The rest of a message is much smaller
// than what remains of eventlog.MaxBusBytes.
const claimBytes = 32 << 10

// wireClaim is a claim as it is sent, or the message that a claim is gone. Names may have any bytes.
type wireClaim struct {
	Channel []byte `json:"chn"`
	Subject []byte `json:"sub,omitempty"`
	ID      []byte `json:"id"`
	Gone    bool   `json:"gone,omitempty"`
	Left    bool   `json:"left,omitempty"` // the member has left, which had joined at Since
	Owed    *debt  `json:"owed,omitempty"`
	claim

	encoded []byte // by encode
}

// plainClaim is a wireClaim without its methods.
type plainClaim wireClaim

// MarshalJSON implements [json.Marshaler].
func (w *wireClaim) MarshalJSON() ([]byte, error) {
	if w.encoded != nil {
		return w.encoded, nil
	}
	return encodeJSON((*plainClaim)(w))
}

// encode encodes the claim and returns its size, or 0 if that fails.
func (w *wireClaim) encode() int {
	w.encoded, _ = encodeJSON((*plainClaim)(w)) // a verifier may let an Att pass that is no JSON
	return len(w.encoded)
}

func (w *wireClaim) key() memberKey {
	return memberKey{string(w.Channel), Recipient{Subject: string(w.Subject), ID: string(w.ID)}}
}

// claimsData is the data of messages: some that have changed, a part of all, or none.
type claimsData struct {
	Generation uint64 `json:"gen"`
	Seq        uint64 `json:"seq"`
	Part       int    `json:"part,omitempty"`
	Parts      int    `json:"parts,omitempty"`
	// Sent numbers the sender's transmissions of all claims, whose parts must not be mixed.
	Sent uint64      `json:"sent,omitempty"`
	List []wireClaim `json:"list,omitempty"`

	// Of is the node whose claims are sent or wanted, if that is neither the sender nor the
	// receiver: a node that was killed cannot send its claims to one that has just started.
	Of string `json:"of,omitempty"`
	// Nodes are those that the sender of a beat knows.
	Nodes map[string]hearsay `json:"nodes,omitempty"`
}

// wireClaimOf returns a claim as it is sent, and its size. If c is nil, the claim is gone; ended is then
// the Since of a member that has left, and otherwise zero. A claim that is too large for a message,
// because its token is larger than usual, is sent without tags and attachment. If even that is too
// large, the size is 0.
func wireClaimOf(key memberKey, c *claim, owed *debt, ended time.Time) (w wireClaim, size int) {
	w = wireClaim{
		Channel: []byte(key.channel), Subject: []byte(key.Subject), ID: []byte(key.ID),
		Gone: c == nil, Left: c == nil && !ended.IsZero(),
	}
	if w.Left {
		w.Since = ended
	}
	if owed != nil {
		d := *owed
		w.Owed = &d
	}
	if c != nil {
		w.claim = *c
	}
	if size = w.encode(); size > 0 && size <= claimBytes {
		return w, size
	}
	if w.Tags, w.Att = nil, nil; w.Owed != nil {
		w.Owed.Tags, w.Owed.Att = nil, nil
	}
	if size = w.encode(); size > claimBytes {
		size = 0
	}
	return w, size
}
