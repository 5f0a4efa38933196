package token

import (
	"context"
	"fmt"
	"slices"
)

// Keyring signs with one [Secret] and verifies with several, so that a secret
// can be replaced while tokens made with the old one are in use. Replace it in
// two steps when several processes share it: first add the new secret as a
// previous one everywhere, then make it the current one. Drop the old one when
// its last token has expired.
//
// The zero Keyring has no secrets: it cannot sign, and it refuses every token. A
// Keyring prints as "[redacted]".
type Keyring struct {
	opaque

	// secrets returns the current secret, followed by the previous ones.
	secrets func() []Secret
}

// NewKeyring returns a Keyring that signs with current and verifies with current
// and all of previous. Empty secrets neither sign nor verify.
func NewKeyring(current Secret, previous ...Secret) *Keyring {
	secrets := slices.Concat([]Secret{current}, previous)
	return &Keyring{secrets: func() []Secret { return secrets }}
}

// Sign returns a token with the payload p, signed with the current secret. The error
// wraps [ErrNoSigningKey] or [ErrInvalidPayload].
func (k *Keyring) Sign(ctx context.Context, p *Payload) (string, error) {
	return k.all()[0].Sign(ctx, p)
}

// Verify checks a token with every secret and returns its payload. The error wraps
// [ErrMalformed], [ErrSignature] or [ErrExpired]. It is ErrSignature only if none of
// the secrets made the signature.
func (k *Keyring) Verify(_ context.Context, token string) (*Payload, error) {
	p, err := verifySigned(token, k.all()...)
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

// all returns at least one secret, which for the zero Keyring is empty.
func (k *Keyring) all() []Secret {
	if k.secrets == nil {
		return []Secret{""}
	}
	return k.secrets()
}
