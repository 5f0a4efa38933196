package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

func newJWT(t testing.TB, alg string, key any, o *token.JWTOptions) *token.JWT {
	t.Helper()
	j, err := token.NewJWT(alg, key, o)
	require.NoError(t, err)
	return j
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

// foreign signs claims like another issuer, without the checks of Sign.
func foreign(t testing.TB, key string, header, claims map[string]any) string {
	t.Helper()
	made := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims))
	maps.Copy(made.Header, header)
	signed, err := made.SignedString([]byte(key))
	require.NoError(t, err)
	return signed
}

// tamper changes the first character of the signature.
func tamper(signed string) string {
	at := strings.LastIndexByte(signed, '.') + 1
	if signed[at] == 'A' {
		return signed[:at] + "B" + signed[at+1:]
	}
	return signed[:at] + "A" + signed[at+1:]
}

func TestJWTAlgorithms(t *testing.T) {
	t.Parallel()
	rsaKey := newRSA(t)
	keys := map[string]any{
		"ES256": newECDSA(t, elliptic.P256()), "ES384": newECDSA(t, elliptic.P384()), "ES512": newECDSA(t, elliptic.P521()),
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[alg] = rsaKey
	}
	_, keys["EdDSA"], _ = ed25519.GenerateKey(nil)

	for alg, key := range keys {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			signed := sign(t, newJWT(t, alg, key, nil), &token.Payload{Channel: "c", ExpiresAt: end})

			public := newJWT(t, alg, key.(crypto.Signer).Public(), nil)
			p, err := public.Verify(t.Context(), signed)
			require.NoError(t, err)
			require.Equal(t, "c", p.Channel)

			_, err = public.Sign(t.Context(), p)
			require.ErrorIs(t, err, token.ErrNoSigningKey)

			_, err = public.Verify(t.Context(), tamper(signed))
			require.ErrorIs(t, err, token.ErrSignature)
		})
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			signed := sign(t, newJWT(t, alg, []byte("k"), nil), &token.Payload{Channel: "c", ExpiresAt: end})
			p, err := newJWT(t, alg, token.Secret("k"), nil).Verify(t.Context(), signed)
			require.NoError(t, err)
			require.Equal(t, "c", p.Channel)
			_, err = newJWT(t, alg, []byte("l"), nil).Verify(t.Context(), signed)
			require.ErrorIs(t, err, token.ErrSignature)
		})
	}
}

func TestJWTRefusesKeys(t *testing.T) {
	t.Parallel()
	_, edKey, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		alg string
		key any
	}{
		"no algorithm":        {"", []byte("topsecret")},
		"unknown algorithm":   {"HS1", []byte("topsecret")},
		"none":                {"none", jwt.UnsafeAllowNoneSignatureType},
		"no key":              {"HS256", nil},
		"empty key":           {"HS256", []byte{}},
		"empty secret":        {"HS256", token.Secret("")},
		"text as key":         {"HS256", "topsecret"},
		"bytes for RSA":       {"RS256", []byte("topsecret")},
		"nil RSA key":         {"RS256", (*rsa.PrivateKey)(nil)},
		"zero RSA key":        {"PS256", &rsa.PublicKey{}},
		"RSA for ECDSA":       {"ES256", &rsa.PublicKey{}},
		"nil ECDSA key":       {"ES256", (*ecdsa.PrivateKey)(nil)},
		"zero ECDSA key":      {"ES256", &ecdsa.PublicKey{}},
		"wrong curve":         {"ES256", newECDSA(t, elliptic.P384())},
		"Ed25519 for HMAC":    {"HS256", edKey},
		"short Ed25519 key":   {"EdDSA", edKey[:31]},
		"pointer to Ed25519":  {"EdDSA", &edKey},
		"short Ed25519 point": {"EdDSA", ed25519.PublicKey("topsecret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, err := token.NewJWT(test.alg, test.key, nil)
			require.Error(t, err)
			require.Nil(t, j)
			require.NotContains(t, err.Error(), "topsecret")
		})
	}
	for name, o := range map[string]token.JWTOptions{
		"key id": {KeyID: "\xff"}, "issuer": {Issuer: "\xff"}, "audience": {Audience: "\xff"},
	} {
		t.Run(name+" that is not UTF-8", func(t *testing.T) {
			t.Parallel()
			_, err := token.NewJWT("HS256", []byte("k"), &o)
			require.Error(t, err)
		})
	}
}

func TestJWTKeepsItsOwnKey(t *testing.T) {
	t.Parallel()
	key := []byte("key")
	j := newJWT(t, "HS256", key, nil)
	key[0] = 'K'
	_, err := newJWT(t, "HS256", []byte("key"), nil).Verify(t.Context(), sign(t, j, &token.Payload{ExpiresAt: end}))
	require.NoError(t, err)
}

func TestJWTText(t *testing.T) {
	t.Parallel()
	j := newJWT(t, "HS256", []byte("k"), &token.JWTOptions{KeyID: "key-1", Issuer: "<api>", Audience: "hub"})
	signed := sign(t, j, &token.Payload{Channel: "c", IssuedAt: time.Unix(1700000000, 0), ExpiresAt: end})
	parts := strings.Split(signed, ".")
	require.Len(t, parts, 3)
	for i, want := range []string{
		`{"alg":"HS256","typ":"JWT","kid":"key-1"}`,
		`{"chn":"c","iat":1700000000,"exp":4102444800,"iss":"<api>","aud":"hub"}`,
	} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	p, err := j.Verify(t.Context(), signed)
	require.NoError(t, err)
	require.Contains(t, string(p.Raw), `"iss":"<api>"`)
	require.Equal(t, parts[2], strings.Split(sign(t, j, p), ".")[2], "signed again, it is the same")
}

func TestJWTOfOthers(t *testing.T) {
	t.Parallel()
	strict := &token.JWTOptions{Issuer: "api", Audience: "hub"}
	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{"chn": "c", "iat": 0, "exp": 4102444800, "iss": "api", "aud": "hub"}
		change(c)
		return c
	}
	keep := func(map[string]any) {}
	for name, test := range map[string]struct {
		options *token.JWTOptions
		key     string
		header  map[string]any
		change  func(map[string]any)
		want    error
	}{
		"good":                    {strict, "k", nil, keep, nil},
		"one of several hubs":     {strict, "k", nil, func(c map[string]any) { c["aud"] = []string{"x", "hub"} }, nil},
		"no demands":              {nil, "k", nil, func(c map[string]any) { delete(c, "iss"); c["aud"] = "x" }, nil},
		"unknown claim":           {strict, "k", nil, func(c map[string]any) { c["sub"] = "user" }, nil},
		"other key":               {strict, "l", nil, keep, token.ErrSignature},
		"other algorithm named":   {strict, "k", map[string]any{"alg": "HS512"}, keep, token.ErrSignature},
		"unknown algorithm named": {strict, "k", map[string]any{"alg": "x"}, keep, token.ErrSignature},
		"no algorithm named":      {strict, "k", map[string]any{"alg": "none"}, keep, token.ErrSignature},
		"critical header":         {strict, "k", map[string]any{"crit": []string{"b64"}}, keep, token.ErrSignature},
		"other key id":            {strict, "k", map[string]any{"kid": "x"}, keep, nil},
		"other issuer":            {strict, "k", nil, func(c map[string]any) { c["iss"] = "x" }, token.ErrClaims},
		"no issuer":               {strict, "k", nil, func(c map[string]any) { delete(c, "iss") }, token.ErrClaims},
		"issuer in capitals":      {strict, "k", nil, func(c map[string]any) { delete(c, "iss"); c["ISS"] = "api" }, token.ErrClaims},
		"other audience":          {strict, "k", nil, func(c map[string]any) { c["aud"] = "x" }, token.ErrClaims},
		"no audience":             {strict, "k", nil, func(c map[string]any) { delete(c, "aud") }, token.ErrClaims},
		"not yet":                 {nil, "k", nil, func(c map[string]any) { c["nbf"] = 4102444800 }, token.ErrClaims},
		"nbf is a text":           {nil, "k", nil, func(c map[string]any) { c["nbf"] = "1" }, token.ErrClaims},
		"since long":              {nil, "k", nil, func(c map[string]any) { c["nbf"] = 1 }, nil},
		"expired":                 {strict, "k", nil, func(c map[string]any) { c["exp"] = 1 }, token.ErrExpired},
		"expired and for others":  {strict, "k", nil, func(c map[string]any) { c["exp"], c["aud"] = 1, "x" }, token.ErrClaims},
		"no exp":                  {strict, "k", nil, func(c map[string]any) { delete(c, "exp") }, token.ErrMalformed},
		"no iat":                  {strict, "k", nil, func(c map[string]any) { delete(c, "iat") }, token.ErrMalformed},
		"no channel":              {strict, "k", nil, func(c map[string]any) { delete(c, "chn") }, token.ErrMalformed},
		"null tags":               {strict, "k", nil, func(c map[string]any) { c["tags"] = nil }, token.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signed := foreign(t, test.key, test.header, claims(test.change))
			p, err := newJWT(t, "HS256", []byte("k"), test.options).Verify(t.Context(), signed)
			require.ErrorIs(t, err, test.want)
			require.Equal(t, test.want == nil, p != nil)
		})
	}
}

// This is the classic confusion of algorithms: the public key, which everybody may know, is
// used as the secret of an HMAC.
func TestJWTWithAPublicKeyAsSecret(t *testing.T) {
	t.Parallel()
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	forged := sign(t, newJWT(t, "HS256", []byte(public), nil), &token.Payload{ExpiresAt: end})
	_, err = newJWT(t, "EdDSA", public, nil).Verify(t.Context(), forged)
	require.ErrorIs(t, err, token.ErrSignature)
}

// TestFormsDoNotMix signs both forms with one key: the signature of a JWT under
// HS256 is that of a signed value whose text is a header and claims.
func TestFormsDoNotMix(t *testing.T) {
	t.Parallel()
	secret, j := token.Secret("k"), newJWT(t, "HS256", []byte("k"), nil)
	p := &token.Payload{Channel: "c", ExpiresAt: end}
	_, err := secret.Verify(t.Context(), sign(t, j, p))
	require.ErrorIs(t, err, token.ErrMalformed)
	_, err = j.Verify(t.Context(), sign(t, secret, p))
	require.ErrorIs(t, err, token.ErrMalformed)
}

// The cost of a token with a wrong signature depends only on its size, not on its content.
func TestForgedTokensAreNotParsed(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	var bomb strings.Builder // each member of which would be allocated
	for i := range 50_000 {
		fmt.Fprintf(&bomb, `"%x":[],`, i)
	}
	members := bomb.String()
	encode := base64.RawURLEncoding.EncodeToString
	claims := `{` + members + `"chn":"c","iat":1,"exp":4102444800}`
	header := `{` + members + `"alg":"HS256"}`
	for name, test := range map[string]struct {
		key    token.Verifier
		forged string
	}{
		"claims of a JWT":          {newJWT(t, "HS256", []byte("k"), nil), encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims)) + ".AAAA"},
		"header of a JWT":          {newJWT(t, "HS256", []byte("k"), nil), encode([]byte(header)) + ".e30.AAAA"},
		"claims for a public key":  {newJWT(t, "EdDSA", private.Public(), nil), encode([]byte(`{"alg":"EdDSA"}`)) + "." + encode([]byte(claims)) + ".AAAA"},
		"payload under a secret":   {token.Secret("k"), claims + ".AAAA"},
		"payload under a key ring": {token.NewKeyring("k", "l"), claims + ".AAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(3, func() {
				_, err := test.key.Verify(t.Context(), test.forged)
				require.ErrorIs(t, err, token.ErrSignature)
			})
			require.Less(t, allocs, 100.0)
		})
	}
}

// The faults of a JWT are refused in the order that Verify documents.
func TestJWTRefusalOrder(t *testing.T) {
	t.Parallel()
	j := newJWT(t, "HS256", []byte("k"), &token.JWTOptions{Issuer: "api"})
	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"four parts":                     {signJWT(t, `{"alg":"HS256"}`, `{}`) + ".x", token.ErrMalformed},
		"claims are no JSON":             {signJWT(t, `{"alg":"HS256"}`, `x`), token.ErrMalformed},
		"claims are null":                {signJWT(t, `{"alg":"HS256"}`, `null`), token.ErrMalformed},
		"claims are no JSON, not signed": {tamper(signJWT(t, `{"alg":"HS256"}`, `x`)), token.ErrSignature},
		"header is no JSON":              {signJWT(t, `x`, `{}`), token.ErrSignature},
		"algorithm in capitals":          {signJWT(t, `{"ALG":"HS256"}`, `{}`), token.ErrSignature},
		"algorithm is a list":            {signJWT(t, `{"alg":["HS256"]}`, `{}`), token.ErrSignature},
		"not valid before an age":        {signJWT(t, `{"alg":"HS256"}`, `{"chn":"c","iat":1,"exp":4102444800,"iss":"api","nbf":1e300}`), token.ErrClaims},
		"never valid":                    {signJWT(t, `{"alg":"HS256"}`, `{"chn":"c","iat":1,"exp":4102444800,"iss":"api","nbf":1e400}`), token.ErrClaims},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := j.Verify(t.Context(), test.token)
			require.ErrorIs(t, err, test.want)
		})
	}
}
