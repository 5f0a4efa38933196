package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Secret signs and verifies oRPC's signed values. It is oRPC's signingKey. Any
// string is allowed; it should be as hard to guess as 32 random bytes. The empty
// Secret cannot sign, and it refuses every token.
//
// A Secret prints as "[redacted]"; the package documentation lists the
// exceptions. Convert it to a string to read it.
type Secret string

// Sign returns a token with the payload p. The error wraps [ErrNoSigningKey] or
// [ErrInvalidPayload].
func (s Secret) Sign(_ context.Context, p *Payload) (string, error) {
	if s == "" {
		return "", fmt.Errorf("token: sign: %w", ErrNoSigningKey)
	}
	text, err := encode(p)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	return s.sign(text), nil
}

// Verify checks a token and returns its payload. It checks the signature, in constant
// time, before it parses the payload. The error wraps [ErrMalformed], [ErrSignature]
// or [ErrExpired].
func (s Secret) Verify(_ context.Context, token string) (*Payload, error) {
	p, err := verifySigned(token, s)
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

// sign returns text followed by a dot and its signature.
func (s Secret) sign(text []byte) string {
	return string(text) + "." + signatureEncoding.EncodeToString(s.mac(text))
}

func (s Secret) mac(text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(s))
	mac.Write(text)
	return mac.Sum(nil)
}

// matches reports whether mac is the HMAC of text. With the empty secret, which
// everyone knows, it returns false.
func (s Secret) matches(text, mac []byte) bool {
	return s != "" && hmac.Equal(s.mac(text), mac)
}

// verifySigned verifies a token with the first of the secrets that made its signature.
// If one matches, the error is about the payload, whatever the other secrets are.
func verifySigned(token string, secrets ...Secret) (*Payload, error) {
	text, signature, ok := cutSigned(token)
	if !ok {
		return nil, errNoDot
	}
	mac, err := decodeSignature(signature)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	for _, secret := range secrets {
		if secret.matches(text, mac) {
			return decodeCurrent(text)
		}
	}
	return nil, ErrSignature
}

// decodeCurrent decodes a payload and returns [ErrExpired] if it has expired.
func decodeCurrent(text []byte) (*Payload, error) {
	p, err := decode(text)
	if err != nil {
		return nil, err
	}
	if p.Expired(time.Now()) {
		return nil, ErrExpired
	}
	return p, nil
}

func parseSigned(token string) (*Payload, error) {
	text, _, ok := cutSigned(token)
	if !ok {
		return nil, errNoDot
	}
	return decode(text)
}

var errNoDot = fmt.Errorf("%w: no dot", ErrMalformed)

// cutSigned splits a signed value at its last dot, since the payload may contain dots.
func cutSigned(token string) (text []byte, signature string, ok bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return nil, "", false
	}
	return []byte(token[:dot]), token[dot+1:], true
}

var signatureEncoding = base64.RawURLEncoding

// toPlain replaces the alphabet of base64url by that of base64 and drops ASCII white space.
var toPlain = strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\n", "", "\f", "", "\r", "")

// decodeSignature is as lenient as oRPC, which pads the string to a multiple of four
// characters and then decodes it as browsers do: they drop white space and, if the
// length is then a multiple of four, up to two padding characters. White space is
// counted when padding, so most signatures with white space are refused.
func decodeSignature(signature string) ([]byte, error) {
	// Most signatures need no such leniency. Go skips line breaks, but oRPC counts them.
	if mac, err := signatureEncoding.DecodeString(signature); err == nil && !strings.ContainsAny(signature, "\r\n") {
		return mac, nil
	}
	padding := strings.Repeat("=", (4-len(signature)%4)%4)
	plain := toPlain.Replace(signature + padding)
	if len(plain)%4 == 0 {
		plain = strings.TrimSuffix(strings.TrimSuffix(plain, "="), "=")
	}
	mac, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("not base64")
	}
	return mac, nil
}

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (Secret) Format(f fmt.State, verb rune) { opaque{}.Format(f, verb) }

// MarshalText returns "[redacted]", also in JSON.
func (Secret) MarshalText() ([]byte, error) { return opaque{}.MarshalText() }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return opaque{}.LogValue() }
