package durableobject

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/token"
)

// Who selects clients for [Namespace.Disconnect] and tokens for [Namespace.Revoke]. Every
// field that is set must match; the zero Who matches nothing.
type Who struct {
	// Channel is the channel of the token.
	Channel string `json:"channel,omitzero"`
	// Subject is the user whose token it is. It requires Options.Subject.
	Subject string `json:"subject,omitzero"`
	// ID is the id that a client has chosen. It is good to close a socket; Revoke refuses
	// it, since the client can come back under another one.
	ID string `json:"id,omitzero"`
	// Tag is one of the tags of the token.
	Tag string `json:"tag,omitzero"`
	// TokenID is the id of the token: see token.Payload.ID.
	TokenID string `json:"tokenID,omitzero"`
	// IssuedBefore matches tokens that were issued at that time or before. Tokens have whole
	// seconds, so one that was issued later in the same second matches too. To ban a user,
	// add to the present time as long as the procedure that makes tokens may take: a call
	// of it that found no ban may sign a token after the ban.
	IssuedBefore time.Time `json:"issuedBefore,omitzero"`
}

// ErrWho is returned by Disconnect and Revoke for a [Who] that cannot be used: one without
// any field, with a Subject where Options.Subject is not set, or, in Revoke, with an ID.
var ErrWho = errors.New("durableobject: bad selector")

// key returns what distinguishes w from others: its fields with IssuedBefore in UTC.
func (w *Who) key() Who {
	key := *w
	if !w.IssuedBefore.IsZero() {
		key.IssuedBefore = key.IssuedBefore.UTC().Round(0)
	}
	return key
}

// matches reports whether w selects a token, and the socket that it opened if that is known:
// a Who without ID selects every socket.
func (w *Who) matches(r Recipient, p *token.Payload) bool {
	switch {
	case *w == Who{},
		w.Channel != "" && w.Channel != p.Channel,
		w.Subject != "" && w.Subject != r.Subject,
		w.ID != "" && w.ID != r.ID,
		w.Tag != "" && !slices.Contains(p.Tags, w.Tag),
		w.TokenID != "" && w.TokenID != p.ID,
		!w.IssuedBefore.IsZero() && p.IssuedAt.After(w.IssuedBefore):
		return false
	}
	return true
}

// check returns the error of a selector that cannot be used.
func (w *Who) check(o *Options) error {
	switch {
	case *w == Who{}:
		return errors.New("no field is set")
	case !utf8.ValidString(w.Channel + w.Subject + w.ID + w.Tag + w.TokenID):
		return errors.New("not UTF-8")
	case w.Subject != "" && o.Subject == nil:
		return errors.New("there is a Subject, but no Options.Subject")
	}
	return nil
}
