package durableobject

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/token"
)

// Who selects clients for [Namespace.Disconnect] and tokens for [Namespace.Revoke]. All fields
// that are set must match; the zero Who matches nothing.
type Who struct {
	// Channel is the channel of the token.
	Channel string `json:"channel,omitzero"`
	// Subject is the user that Options.Subject, which must be set, returns for the token.
	Subject string `json:"subject,omitzero"`
	// ID is the id that a client has chosen. It is only for Disconnect; Revoke returns an
	// error, because the client could reconnect with another id.
	ID string `json:"id,omitzero"`
	// Tag is one of the tags of the token.
	Tag string `json:"tag,omitzero"`
	// TokenID is the id of the token: see token.Payload.ID.
	TokenID string `json:"tokenID,omitzero"`
	// IssuedBefore matches tokens that were issued at or before this time. Times of issue
	// are in whole seconds, so a token that was issued later in the same second matches too.
	// To ban a user, add to the current time the time that the procedure which makes tokens
	// may take: a call that has just found no ban may sign a token after the ban.
	IssuedBefore time.Time `json:"issuedBefore,omitzero"`
}

// ErrWho is returned by Disconnect and Revoke for an invalid [Who]: no field is set, Subject is
// set although Options.Subject is not, or, for Revoke, ID is set.
var ErrWho = errors.New("bad selector")

// key returns a normalized copy of w, with IssuedBefore in UTC, for comparisons.
func (w *Who) key() Who {
	key := *w
	if !w.IssuedBefore.IsZero() {
		key.IssuedBefore = key.IssuedBefore.UTC().Round(0)
	}
	return key
}

// matches reports whether w selects the token p of a socket with the recipient r. If w has no
// ID, r may be zero.
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

// check returns an error if w is invalid.
func (w *Who) check(o *Options) error {
	switch {
	case *w == Who{}:
		return errors.New("no field is set")
	case !utf8.ValidString(w.Channel + w.Subject + w.ID + w.Tag + w.TokenID):
		return errors.New("not UTF-8")
	case w.Subject != "" && o.Subject == nil:
		return errors.New("field Subject is set, but Options.Subject is not")
	}
	return nil
}
