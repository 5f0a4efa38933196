package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that a caller may branch on. They arrive wrapped.
var (
	// ErrMalformed means that the string is no token, or that its payload lacks a
	// member or has one of a wrong type.
	ErrMalformed = errors.New("malformed")
	// ErrSignature means that the signature is missing or was not made with the
	// key and the algorithm of the verifier.
	ErrSignature = errors.New("wrong signature")
	// ErrExpired means that the token was good and has expired.
	ErrExpired = errors.New("expired")
	// ErrClaims means that a JWT is of another issuer, for another audience or
	// not valid yet.
	ErrClaims = errors.New("claims refused")
	// ErrNoSigningKey means that the key cannot sign: it is an empty secret or a
	// public key.
	ErrNoSigningKey = errors.New("no signing key")
	// ErrInvalidPayload means that a payload cannot be signed, because no
	// verifier would accept it.
	ErrInvalidPayload = errors.New("invalid payload")
	// ErrNoAttachment means that a payload has no attachment.
	ErrNoAttachment = errors.New("no attachment")
)

// Signer makes tokens. Implementations are safe for concurrent use. [Secret],
// [*Keyring] and [*JWT] are signers; they do no I/O and ignore the context,
// which is there for signers that ask a key service.
type Signer interface {
	// Sign makes a token of p. It does not change p.
	Sign(ctx context.Context, p *Payload) (string, error)
}

// Verifier checks tokens. Implementations are safe for concurrent use.
// [Secret], [*Keyring] and [*JWT] are verifiers; they do no I/O and ignore the
// context.
type Verifier interface {
	// Verify checks the signature, the members and the expiry of a token and
	// returns its payload.
	Verify(ctx context.Context, token string) (*Payload, error)
}

// Payload is the content of a token. It is oRPC's DurableIteratorTokenPayload.
type Payload struct {
	// Channel is the channel that the token opens, "chn" on the wire.
	// The empty string is a channel like any other.
	Channel string
	// Tags are those of the socket, "tags" on the wire. nil is left out of the
	// token; an empty list is written as one.
	Tags []string
	// RPC has the names of the methods that may be called, "rpc" on the wire.
	// nil and an empty list differ on the wire only: both allow nothing.
	RPC []string
	// Att is the attachment, any JSON value, "att" on the wire. Clients can read
	// it. Empty is left out of the token. See [Att].
	Att json.RawMessage
	// IssuedAt is "iat" on the wire. Sign writes it in whole seconds, rounded
	// down, and writes the current second if it is zero. Verify does not compare
	// it with the clock.
	IssuedAt time.Time
	// ExpiresAt is "exp" on the wire, in seconds, with a fraction only if it has
	// one. It is required. The fraction has the precision of a float64, which is
	// better than a microsecond. Verify and Parse read a time after the year 9999
	// as the last second of that year; Sign refuses one.
	ExpiresAt time.Time
	// ID names the token, "jti" on the wire, so that it can be told from others, for
	// instance to revoke it. Clients can read it; those of oRPC ignore it. Empty is left
	// out of the token. Sign refuses one of more than 256 bytes; Verify and Parse read a
	// "jti" that is no string as an empty one.
	ID string
	// Raw is the JSON of the payload as it came, with the members that this
	// package does not know. Verify and Parse set it; Sign does not look at it.
	Raw json.RawMessage
}

// Expired reports whether the payload has expired at now. A payload is still
// good at ExpiresAt itself.
func (p *Payload) Expired(now time.Time) bool { return p.ExpiresAt.Before(now) }

// Att decodes the attachment of a payload. The error wraps [ErrNoAttachment] if
// there is none; otherwise it comes from [json.Unmarshal].
func Att[A any](p *Payload) (A, error) {
	var att A
	if len(p.Att) == 0 {
		return att, fmt.Errorf("token: att: %w", ErrNoAttachment)
	}
	if err := json.Unmarshal(p.Att, &att); err != nil {
		return att, fmt.Errorf("token: att: %w", err)
	}
	return att, nil
}

// Parse reads a token of either form without checking its signature or its
// expiry. It is for clients, which have no key: never trust its result on a
// server. The error wraps [ErrMalformed].
func Parse(token string) (*Payload, error) {
	read := parseSigned
	if !strings.Contains(token, "{") { // a signed value has its payload in clear, a JWT is all base64
		read = parseJWT
	}
	p, err := read(token)
	if err != nil {
		return nil, fmt.Errorf("token: parse: %w", err)
	}
	return p, nil
}
