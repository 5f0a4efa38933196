package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// DefaultMaxBytes is the default size of the largest token that is accepted by a
// durableobject.Namespace and made by package durableiterator. Tokens are sent in the
// address or a header of a request, whose size servers and proxies limit.
const DefaultMaxBytes = 8 << 10

// Errors that callers may test for with [errors.Is]. They are wrapped when returned.
var (
	// ErrMalformed means that the string is not a token, or that its payload lacks a
	// required member or has one of a wrong type.
	ErrMalformed = errors.New("malformed")
	// ErrSignature means that the signature is missing or was not made with the
	// key and the algorithm of the verifier.
	ErrSignature = errors.New("wrong signature")
	// ErrExpired means that the token is otherwise valid but has expired.
	ErrExpired = errors.New("expired")
	// ErrClaims means that a JWT has another issuer or audience than the verifier
	// requires, or is not valid yet.
	ErrClaims = errors.New("claims refused")
	// ErrNoSigningKey means that the key cannot sign, because it is an empty secret
	// or a public key.
	ErrNoSigningKey = errors.New("no signing key")
	// ErrInvalidPayload means that a payload cannot be signed, because no
	// verifier would accept it.
	ErrInvalidPayload = errors.New("invalid payload")
	// ErrNoAttachment means that a payload has no attachment.
	ErrNoAttachment = errors.New("no attachment")
)

// Signer makes tokens. Implementations must be safe for concurrent use. [Secret],
// [*Keyring] and [*JWT] are signers; they do no I/O and ignore the context,
// which is for signers that call a key service.
type Signer interface {
	// Sign returns a token with the payload p. It does not change p.
	Sign(ctx context.Context, p *Payload) (string, error)
}

// Verifier checks tokens. Implementations must be safe for concurrent use.
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
	// Tags are the tags of the socket, "tags" on the wire. A nil list is left out
	// of the token; an empty one is not.
	Tags []string
	// RPC lists the names of the methods that the client may call, "rpc" on the
	// wire. A nil list is left out of the token, an empty one is not; both allow
	// no method.
	RPC []string
	// Att is the attachment, any JSON value, "att" on the wire. Clients can read
	// it. If it is empty, it is left out of the token. See the function [Att].
	Att json.RawMessage
	// IssuedAt is "iat" on the wire. Sign writes it in whole seconds, rounded
	// down, or the current time if it is zero. Verify does not compare it with the
	// clock.
	IssuedAt time.Time
	// ExpiresAt is "exp" on the wire, in seconds and, if need be, a fraction. It is
	// required. The fraction has the precision of a float64, which is better than a
	// microsecond. Verify and Parse read a time after the year 9999 as the last
	// second of that year; Sign refuses one.
	ExpiresAt time.Time
	// ID identifies the token, "jti" on the wire, for example to revoke it. Clients can
	// read it; those of oRPC ignore it. If it is empty, it is left out of the token.
	// Sign refuses an ID of more than 256 bytes; Verify and Parse read a "jti" that is
	// not a string as an empty ID.
	ID string
	// Raw is the JSON of the payload as it was received, including the members that
	// this package does not know. Verify and Parse set it; Sign ignores it.
	Raw json.RawMessage
}

// Expired reports whether the payload has expired at now. At ExpiresAt itself it has
// not expired yet.
func (p *Payload) Expired(now time.Time) bool { return p.ExpiresAt.Before(now) }

// Att decodes the attachment of a payload with [json.Unmarshal]. The error wraps
// [ErrNoAttachment] if there is none; otherwise it wraps that of json.Unmarshal.
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
// expiry. It is for clients, which have no key; a server must not trust its result.
// The error wraps [ErrMalformed].
func Parse(token string) (*Payload, error) {
	p, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("token: parse: %w", err)
	}
	return p, nil
}

func parse(token string) (*Payload, error) {
	switch {
	case token == "":
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	case strings.Contains(token, "{"): // the payload of a signed value is plain JSON, a JWT is all base64
		return parseSigned(token)
	case strings.Count(token, ".") != 2:
		return nil, fmt.Errorf("%w: it is neither a signed value nor a JWT", ErrMalformed)
	}
	return parseJWT(token)
}
