package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// JWTOptions configure a [JWT]. A nil *JWTOptions is that of the zero value.
type JWTOptions struct {
	// KeyID is written to the header "kid" of tokens that are signed, for
	// verifiers that choose among keys. Empty writes none. Verify does not look
	// at it, because a JWT has only one key.
	KeyID string
	// Issuer is written to the claim "iss", and tokens of another issuer are
	// refused. Empty writes none and takes any.
	Issuer string
	// Audience is written to the claim "aud", and tokens that do not name it
	// there are refused. Empty writes none and takes any.
	Audience string
}

// JWT signs and verifies JSON Web Tokens whose claims are the members of a
// [Payload]. It is for Go clients only: those in TypeScript read signed values,
// as [Secret] makes them. oRPC has no counterpart.
//
// Only the algorithm that it was made with is accepted. The claims chn, iat and
// exp are required, and nbf is obeyed if it is there. There is no leeway for
// clocks that differ.
//
// Make one with [NewJWT]; the zero JWT is not usable. It prints as "[redacted]".
type JWT struct {
	opaque

	header string      // of every token it signs, encoded
	extra  []byte      // the members that it adds to those of a payload
	parser *jwt.Parser // checks algorithm, issuer and audience

	// The keys are in closures, see opaque. sign is nil without a private key.
	sign      func(text string) ([]byte, error)
	verifying jwt.Keyfunc
}

// NewJWT makes a JWT for one algorithm and one key:
//
//	HS256, HS384, HS512                       []byte or Secret
//	RS256, RS384, RS512, PS256, PS384, PS512  *rsa.PrivateKey or *rsa.PublicKey
//	ES256, ES384, ES512                       *ecdsa.PrivateKey or *ecdsa.PublicKey
//	EdDSA                                     ed25519.PrivateKey or ed25519.PublicKey
//
// A public key verifies and cannot sign. The error tells that the algorithm is
// unknown or that the key does not fit it. The key of an HS algorithm should be
// at least 32, 48 or 64 random bytes; an empty one is refused.
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
	checks := []jwt.ParserOption{jwt.WithValidMethods([]string{alg})}
	if o.Issuer != "" {
		extra = jsontext.AppendString(append(extra, `,"iss":`...), o.Issuer)
		checks = append(checks, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		extra = jsontext.AppendString(append(extra, `,"aud":`...), o.Audience)
		checks = append(checks, jwt.WithAudience(o.Audience))
	}
	j := &JWT{
		header:    jwtHeader{Alg: alg, Typ: "JWT", Kid: o.KeyID}.encode(),
		extra:     extra,
		parser:    jwt.NewParser(checks...),
		verifying: verifyWith(public),
	}
	if private != nil {
		j.sign = func(text string) ([]byte, error) { return method.Sign(text, private) }
	}
	return j, nil
}

// Sign makes a JWT of p. The error wraps [ErrNoSigningKey] or
// [ErrInvalidPayload], or is that of the key.
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

// Verify checks a JWT. The error wraps [ErrMalformed], [ErrSignature],
// [ErrClaims] or [ErrExpired], in this order if several apply.
func (j *JWT) Verify(_ context.Context, token string) (*Payload, error) {
	var c jwtClaims
	if _, err := j.parser.ParseWithClaims(token, &c, j.verifying); err != nil {
		return nil, fmt.Errorf("token: verify: %w: %w", kindOf(err), err)
	}
	p, err := c.read()
	if err == nil && p.Expired(time.Now()) {
		err = ErrExpired
	}
	if err != nil {
		return nil, fmt.Errorf("token: verify: %w", err)
	}
	return p, nil
}

// kindOf gives the error of this package for one of golang-jwt.
func kindOf(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return ErrMalformed
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return ErrClaims
	}
	return ErrSignature
}

func parseJWT(token string) (*Payload, error) {
	var c jwtClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c.read()
}

// verifyWith hands out the key. What a critical header demands is unknown here,
// so a token that has one is refused, as RFC 7515 requires.
func verifyWith(key any) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("header crit is not supported")
		}
		return key, nil
	}
}

type jwtHeader struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`
	Kid string `json:"kid,omitempty"`
}

func (h jwtHeader) encode() string {
	text, _ := json.Marshal(h) //nolint:errchkjson // three texts cannot fail
	return base64.RawURLEncoding.EncodeToString(text)
}

// jwtClaims lets golang-jwt read a payload. MapClaims has the claims that it
// checks and a Payload does not hold: iss, aud and nbf.
type jwtClaims struct {
	jwt.MapClaims

	payload *Payload
}

// UnmarshalJSON reads the claims. It is not called for claims that are null.
func (c *jwtClaims) UnmarshalJSON(text []byte) error {
	p, err := decode(bytes.Clone(text))
	if err != nil {
		return err
	}
	c.payload = p
	return json.Unmarshal(text, &c.MapClaims)
}

// GetExpirationTime hides exp from golang-jwt, which rounds it to seconds. It
// is left to [Payload.Expired], so that both forms of token agree.
func (c *jwtClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return nil, nil //nolint:nilnil // this is how golang-jwt spells a claim that is not there
}

func (c *jwtClaims) read() (*Payload, error) {
	if c.payload == nil {
		return nil, fmt.Errorf("%w: claims are null", ErrMalformed)
	}
	return c.payload, nil
}
