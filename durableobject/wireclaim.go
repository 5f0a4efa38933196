package durableobject

import "time"

// claimBytes bounds the claims of a message, as they are encoded. What is around them is
// much less than the rest of eventlog.MaxBusBytes.
const claimBytes = 32 << 10

// wireClaim is a claim as it is sent, or that it is gone.
// The names are any bytes.
type wireClaim struct {
	Channel []byte `json:"chn"`
	Subject []byte `json:"sub,omitempty"`
	ID      []byte `json:"id"`
	Gone    bool   `json:"gone,omitempty"`
	Left    bool   `json:"left,omitempty"` // the member has left, which had come at Since
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

// encode encodes the claim, and returns how many bytes it takes: 0 if that fails.
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

	// Of is the node that the claims are of, or wanted of, if it is not the sender or the
	// receiver: one that was killed cannot send its own to a node that has just started.
	Of string `json:"of,omitempty"`
	// Nodes are those that the sender of a beat knows.
	Nodes map[string]hearsay `json:"nodes,omitempty"`
}

// wireClaimOf returns a claim as it is sent, nil as one that is gone, and how many bytes it
// takes. One that is larger than a message may be, as that of a token that is larger than
// usual, is sent without tags and attachment. It takes none if it cannot be sent even so.
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
