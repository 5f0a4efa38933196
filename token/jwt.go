package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// JWTOptions configures a [JWT]. A nil *JWTOptions is the same as a zero value.
type JWTOptions struct {
	// KeyID is written to the header "kid" of signed tokens, for verifiers that
	// choose among several keys. If it is empty, no "kid" is written. Verify ignores
	// it, because a JWT has only one key.
	KeyID string
	// Issuer is written to the claim "iss" of signed tokens, and Verify refuses
	// tokens of another issuer. If it is empty, no "iss" is written and any is
	// accepted.
	Issuer string
	// Audience is written to the claim "aud" of signed tokens, and Verify refuses
	// tokens without it there. If it is empty, no "aud" is written and any is
	// accepted.
	Audience string
}

// JWT signs and verifies JSON Web Tokens whose claims are the members of a
// [Payload]. It is for Go clients only: clients in TypeScript read signed values,
// which [Secret] makes. oRPC has no counterpart.
//
// A JWT accepts only the algorithm that it was created with. The claims chn, iat and
// exp are required, and nbf is checked if it is present. There is no leeway for
// clocks that differ.
//
// Use [NewJWT] to create one; the zero JWT is not usable. A JWT prints as "[redacted]".
type JWT struct {
	opaque

	alg       string
	header    string         // of every token that it signs, encoded
	extra     []byte         // the JSON of the claims that it adds to a payload
	validator *jwt.Validator // of issuer, audience and nbf

	// The keys are in closures, see opaque. sign is nil without a private key.
	sign   func(text string) ([]byte, error)
	verify func(text string, signature []byte) error
}

// NewJWT returns a JWT for one algorithm and one key:
//
//	HS256, HS384, HS512                       []byte or Secret
//	RS256, RS384, RS512, PS256, PS384, PS512  *rsa.PrivateKey or *rsa.PublicKey
//	ES256, ES384, ES512                       *ecdsa.PrivateKey or *ecdsa.PublicKey
//	EdDSA                                     ed25519.PrivateKey or ed25519.PublicKey
//
// With a public key it can verify but not sign. NewJWT returns an error for an unknown
// algorithm and for a key that the algorithm cannot use. The key of an HS algorithm
// should be at least 32, 48 or 64 random bytes; an empty one is refused. Nil options
// are the defaults.
func NewJWT(alg string, key any, o *JWTOptions) (*JWT, error) {
	if o == nil {
		o = &JWTOptions{}
	}
	if !utf8.ValidString(o.KeyID + o.Issuer + o.Audience) {
		return nil, fmt.Errorf("token: new jwt: options: %w", errNotUTF8)
	}
	method := jwt.GetSigningMethod(alg)
	private, public, err := splitKey(method, key)
	if err != nil {
		return nil, fmt.Errorf("token: new jwt: algorithm %q: %w", alg, err)
	}
	var extra []byte
	var checks []jwt.ParserOption
	if o.Issuer != "" {
		extra = jsontext.AppendString(append(extra, `,"iss":`...), o.Issuer)
		checks = append(checks, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		extra = jsontext.AppendString(append(extra, `,"aud":`...), o.Audience)
		checks = append(checks, jwt.WithAudience(o.Audience))
	}
	j := &JWT{
		alg:       alg,
		header:    jwtHeader{Alg: alg, Typ: "JWT", Kid: o.KeyID}.encode(),
		extra:     extra,
		validator: jwt.NewValidator(checks...),
		verify:    func(text string, signature []byte) error { return method.Verify(text, signature, public) },
	}
	if private != nil {
		j.sign = func(text string) ([]byte, error) { return method.Sign(text, private) }
	}
	return j, nil
}

// Sign returns a JSON Web Token with the payload p. The error wraps [ErrNoSigningKey],
// [ErrInvalidPayload] or the error of the key.
func (j *JWT) Sign(_ context.Context, p *Payload) (string, error) {
	if j.sign == nil {
		return "", fmt.Errorf("token: sign: %w", ErrNoSigningKey)
	}
	text, err := encode(p)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	text = append(text[:len(text)-1], j.extra...) // before the closing brace
	text = append(text, '}')
	signed := j.header + "." + base64.RawURLEncoding.EncodeToString(text)
	signature, err := j.sign(signed)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Verify checks a JSON Web Token and returns its payload. It checks the signature, with
// the one algorithm of j, before it decodes the header or the claims. The error wraps
// [ErrMalformed] if the token does not have three parts; otherwise [ErrSignature],
// [ErrMalformed], [ErrClaims] or [ErrExpired], in this order if several apply.
func (j *JWT) Verify(_ context.Context, token string) (*Payload, error) {
	p, err := j.read(token)
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

func (j *JWT) read(token string) (*Payload, error) {
	parts, err := cutJWT(token)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts.signature)
	if err == nil {
		err = j.verify(parts.signed, signature)
	}
	if err == nil {
		err = j.checkHeader(parts.header)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	text, m, err := parts.readClaims()
	if err != nil {
		return nil, err
	}
	p, err := m.payload(text)
	if err != nil {
		return nil, err
	}
	if err := j.checkClaims(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if p.Expired(time.Now()) {
		return nil, ErrExpired
	}
	return p, nil
}

// checkHeader checks the algorithm in a signed header. It refuses critical extensions,
// of which none is implemented, as RFC 7515 requires.
func (j *JWT) checkHeader(encoded string) error {
	var header map[string]any // not a struct, because names are case-sensitive
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	switch _, critical := header["crit"]; {
	case err != nil:
		return err
	case header["alg"] != j.alg:
		return errors.New("header alg is not that of the key")
	case critical:
		return errors.New("header crit is not supported")
	}
	return nil
}

// checkClaims checks the claims that are not part of a Payload: iss, aud and nbf. The
// expiry is left to [Payload.Expired], so that both forms of token agree on it.
func (j *JWT) checkClaims(m members) error {
	claims := jwt.MapClaims{}
	for _, name := range [...]string{"iss", "aud", "nbf"} {
		text, ok := m[name]
		if !ok {
			continue
		}
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if seconds, ok := value.(float64); ok { // larger ones would overflow in golang-jwt
			value = min(seconds, lastSecond)
		}
		claims[name] = value
	}
	return j.validator.Validate(claims)
}

func parseJWT(token string) (*Payload, error) {
	parts, err := cutJWT(token)
	if err != nil {
		return nil, err
	}
	text, m, err := parts.readClaims()
	if err != nil {
		return nil, err
	}
	return m.payload(text)
}

// jwtParts has the parts of a JWT, still encoded. signed is the header and the claims.
type jwtParts struct{ signed, header, claims, signature string }

func cutJWT(token string) (jwtParts, error) {
	if strings.Count(token, ".") != 2 {
		return jwtParts{}, fmt.Errorf("%w: a JWT has three parts", ErrMalformed)
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	return jwtParts{signed: token[:last], header: token[:first], claims: token[first+1 : last], signature: token[last+1:]}, nil
}

// readClaims decodes the claims. Every error wraps [ErrMalformed].
func (p jwtParts) readClaims() ([]byte, members, error) {
	text, err := base64.RawURLEncoding.DecodeString(p.claims)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	m, err := readMembers(text)
	return text, m, err
}

type jwtHeader struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`
	Kid string `json:"kid,omitempty"`
}

func (h jwtHeader) encode() string {
	text, _ := json.Marshal(h) //nolint:errchkjson // three strings cannot fail
	return base64.RawURLEncoding.EncodeToString(text)
}
