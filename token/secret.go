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

// Secret signs and verifies oRPC's signed values; it is oRPC's signingKey. Any
// string will do, and it should be as hard to guess as 32 random bytes. The empty
// Secret cannot sign, and no token passes it.
//
// A Secret prints as "[redacted]"; the package documentation lists the
// exceptions. Convert it to a string to get the secret.
type Secret string

// Sign returns a signed value of p. The error wraps [ErrNoSigningKey] or
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

// Verify checks a signed value. The error wraps [ErrMalformed], [ErrSignature]
// or [ErrExpired]. The payload is not parsed before the signature is checked,
// which is compared in constant time.
func (s Secret) Verify(_ context.Context, token string) (*Payload, error) {
	p, err := verifySigned(token, s)
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

// sign returns a signed value of any bytes.
func (s Secret) sign(text []byte) string {
	return string(text) + "." + signatureEncoding.EncodeToString(s.mac(text))
}

func (s Secret) mac(text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(s))
	mac.Write(text)
	return mac.Sum(nil)
}

// matches reports whether mac is that of text. The empty secret is known to
// everyone, so nothing matches it.
func (s Secret) matches(text, mac []byte) bool {
	return s != "" && hmac.Equal(s.mac(text), mac)
}

// verifySigned verifies with the first secret that made the signature, so that a
// secret that does not match cannot hide a fault of the payload.
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

// decodeCurrent reads a payload that must not have expired.
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

// cutSigned splits a signed value at its last dot: the payload may have dots.
func cutSigned(token string) (text []byte, signature string, ok bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return nil, "", false
	}
	return []byte(token[:dot]), token[dot+1:], true
}

var signatureEncoding = base64.RawURLEncoding

// toPlain turns base64url into plain base64 and drops ASCII white space.
var toPlain = strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\n", "", "\f", "", "\r", "")

// decodeSignature is as lenient as oRPC, which pads the text to a multiple of
// four and then decodes it as browsers do: they drop white space, and up to two
// signs of padding if that leaves a multiple of four. Since white space is
// dropped after padding, it passes only where the two numbers fit.
func decodeSignature(signature string) ([]byte, error) {
	// The signatures of most tokens are as written. Go skips line breaks, oRPC counts them.
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
