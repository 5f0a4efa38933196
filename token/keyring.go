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
// The zero Keyring has no secret: it cannot sign, and no token passes it. A
// Keyring prints as "[redacted]".
type Keyring struct {
	opaque

	// secrets returns the current secret and then the previous ones.
	secrets func() []Secret
}

// NewKeyring returns a Keyring that signs with current and verifies with current
// and all of previous. Empty secrets neither sign nor verify.
func NewKeyring(current Secret, previous ...Secret) *Keyring {
	secrets := slices.Concat([]Secret{current}, previous)
	return &Keyring{secrets: func() []Secret { return secrets }}
}

// Sign returns a signed value of p with the current secret. The error wraps
// [ErrNoSigningKey] or [ErrInvalidPayload].
func (k *Keyring) Sign(ctx context.Context, p *Payload) (string, error) {
	return k.all()[0].Sign(ctx, p)
}

// Verify checks a signed value with every secret. The error wraps
// [ErrMalformed], [ErrSignature] or [ErrExpired]; the second only if no secret
// made the signature.
func (k *Keyring) Verify(_ context.Context, token string) (*Payload, error) {
	p, err := verifySigned(token, k.all()...)
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

// all returns at least one secret; that of the zero Keyring is empty.
func (k *Keyring) all() []Secret {
	if k.secrets == nil {
		return []Secret{""}
	}
	return k.secrets()
}
