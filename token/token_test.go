package token_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// end is later than any clock in these tests.
var end = time.Unix(4102444800, 0).UTC()

func sign(t testing.TB, s token.Signer, p *token.Payload) string {
	t.Helper()
	signed, err := s.Sign(t.Context(), p)
	require.NoError(t, err)
	return signed
}

// payloadText returns the payload part of a signed value.
func payloadText(signed string) string { return signed[:strings.LastIndexByte(signed, '.')] }

func TestSignWritesTheTextOfJavaScript(t *testing.T) {
	t.Parallel()
	issued := time.Unix(1700000000, 999_999_999)
	for name, test := range map[string]struct {
		payload token.Payload
		want    string
	}{
		"all members in order": {
			token.Payload{Channel: "c", Tags: []string{"a", "b"}, RPC: []string{"m"}, Att: json.RawMessage(`{"n":1}`), ExpiresAt: end},
			`{"chn":"c","tags":["a","b"],"att":{"n":1},"rpc":["m"],"iat":1700000000,"exp":4102444800}`,
		},
		"nil is left out": {
			token.Payload{Channel: "c", ExpiresAt: end},
			`{"chn":"c","iat":1700000000,"exp":4102444800}`,
		},
		"empty lists are not nil": {
			token.Payload{Channel: "", Tags: []string{}, RPC: []string{}, Att: json.RawMessage{}, ExpiresAt: end},
			`{"chn":"","tags":[],"rpc":[],"iat":1700000000,"exp":4102444800}`,
		},
		"nothing but control characters, quotes and backslashes is escaped": {
			token.Payload{Channel: "<&>\u2028\u2029\x7f ž😀", Tags: []string{"\"\\/", "\b\t\n\f\r\x00\x1f"}, ExpiresAt: end},
			"{\"chn\":\"<&>\u2028\u2029\x7f ž😀\",\"tags\":[\"\\\"\\\\/\",\"\\b\\t\\n\\f\\r\\u0000\\u001f\"],\"iat\":1700000000,\"exp\":4102444800}",
		},
		"the attachment loses white space only": {
			token.Payload{Att: json.RawMessage(" [ 1.0 , \"<\u2028\\u0041\" ]\n"), ExpiresAt: end},
			"{\"chn\":\"\",\"att\":[1.0,\"<\u2028\\u0041\"],\"iat\":1700000000,\"exp\":4102444800}",
		},
		"null is an attachment": {
			token.Payload{Att: json.RawMessage("null"), ExpiresAt: end},
			`{"chn":"","att":null,"iat":1700000000,"exp":4102444800}`,
		},
		"a fraction of exp is kept": {
			token.Payload{ExpiresAt: end.Add(250 * time.Millisecond)},
			`{"chn":"","iat":1700000000,"exp":4102444800.25}`,
		},
		"the last second of the year 9999": {
			token.Payload{ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
			`{"chn":"","iat":1700000000,"exp":253402300799}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.payload.IssuedAt = issued
			before := test.payload
			signed := sign(t, token.Secret("k"), &test.payload)
			require.Equal(t, test.want, payloadText(signed))
			require.Equal(t, before, test.payload, "Sign changed the payload")
		})
	}
}

func TestSignIssuesNowByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := token.Parse(sign(t, token.Secret("k"), &token.Payload{ExpiresAt: end}))
		require.NoError(t, err)
		require.Equal(t, time.Now().UTC(), p.IssuedAt)
	})
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]token.Payload{
		"no expiry":                     {},
		"expiry in the year 10000":      {ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"expiry beyond a float":         {ExpiresAt: time.Unix(1<<62, 0)},
		"expiry before the year 1":      {ExpiresAt: time.Unix(-62135596801, 0)},
		"issued in the year 10000":      {ExpiresAt: end, IssuedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"attachment is no JSON":         {ExpiresAt: end, Att: json.RawMessage(`{"a"`)},
		"attachment is two values":      {ExpiresAt: end, Att: json.RawMessage(`1,"exp":2`)},
		"attachment is not UTF-8":       {ExpiresAt: end, Att: json.RawMessage("\"\xff\"")},
		"channel is not UTF-8":          {ExpiresAt: end, Channel: "a\xff"},
		"tag is not UTF-8":              {ExpiresAt: end, Tags: []string{"a\xff"}},
		"method is a surrogate in WTF8": {ExpiresAt: end, RPC: []string{"\xed\xa0\xbd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, signer := range []token.Signer{token.Secret("k"), token.NewKeyring("k"), newJWT(t, "HS256", []byte("k"), nil)} {
				_, err := signer.Sign(t.Context(), &p)
				require.ErrorIs(t, err, token.ErrInvalidPayload)
			}
		})
	}
}

// TestVerifiersAgree tests every form as the tests of the original do.
func TestVerifiersAgree(t *testing.T) {
	t.Parallel()
	_, ed25519Key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, otherKey, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	type both interface {
		token.Signer
		token.Verifier
	}
	for name, keys := range map[string][2]both{
		"secret":  {token.Secret("k"), token.Secret("other")},
		"keyring": {token.NewKeyring("k", "old"), token.NewKeyring("other", "older")},
		"hmac":    {newJWT(t, "HS256", []byte("k"), nil), newJWT(t, "HS256", []byte("other"), nil)},
		"ed25519": {newJWT(t, "EdDSA", ed25519Key, nil), newJWT(t, "EdDSA", otherKey, nil)},
	} {
		key, other := keys[0], keys[1]
		full := &token.Payload{
			Channel: "a.b <c> \u2028", Tags: []string{"", "t.u"}, RPC: []string{},
			Att:      json.RawMessage(strings.Repeat(`{"a":[`, 500) + `"deep"` + strings.Repeat(`]}`, 500)),
			IssuedAt: time.Unix(946684800, 0).UTC(), ExpiresAt: end.Add(time.Second / 4),
		}

		t.Run(name+" returns the signed payload", func(t *testing.T) {
			t.Parallel()
			signed := sign(t, key, full)
			verified, err := key.Verify(t.Context(), signed)
			require.NoError(t, err)
			parsed, err := token.Parse(signed)
			require.NoError(t, err)
			require.Equal(t, verified, parsed)
			require.Contains(t, string(verified.Raw), `"exp":4102444800.25`)
			verified.Raw = nil
			require.Equal(t, full, verified)
		})
		t.Run(name+" depends on key and payload", func(t *testing.T) {
			t.Parallel()
			signed := sign(t, key, full)
			require.NotEqual(t, signed, sign(t, other, full))
			changed := *full
			changed.Channel = "d"
			require.NotEqual(t, signed, sign(t, key, &changed))
			_, err := other.Verify(t.Context(), signed)
			require.ErrorIs(t, err, token.ErrSignature)
		})
		t.Run(name+" refuses malformed tokens", func(t *testing.T) {
			t.Parallel()
			for _, text := range []string{"", "x", ".", "..", "...", "null.null", "a.b.c"} {
				_, err := key.Verify(t.Context(), text)
				require.Error(t, err, text)
				_, err = token.Parse(text)
				require.ErrorIs(t, err, token.ErrMalformed, text)
			}
		})
		t.Run(name+" expires", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signed := sign(t, key, &token.Payload{ExpiresAt: time.Now().Add(1500 * time.Millisecond)})
				time.Sleep(1500 * time.Millisecond)
				p, err := key.Verify(t.Context(), signed)
				require.NoError(t, err, "a token is good at its very end")
				require.False(t, p.Expired(time.Now()))
				time.Sleep(time.Nanosecond)
				_, err = key.Verify(t.Context(), signed)
				require.ErrorIs(t, err, token.ErrExpired)
				require.True(t, p.Expired(time.Now()))
				_, err = token.Parse(signed)
				require.NoError(t, err, "Parse does not look at the expiry")
			})
		})
	}
}

func TestParseTakesExactNames(t *testing.T) {
	t.Parallel()
	p, err := token.Parse(`{"CHN":"x","chn":"c","Tags":null,"ATT":1,"iat":1,"IAT":2,"exp":3,"Exp":"no"}.`)
	require.NoError(t, err)
	require.Equal(t, "c", p.Channel)
	require.Nil(t, p.Tags)
	require.Nil(t, p.Att)
	require.Equal(t, int64(1), p.IssuedAt.Unix())
	require.Equal(t, int64(3), p.ExpiresAt.Unix())

	_, err = token.Parse(`{"CHN":"c","iat":1,"exp":3}.`)
	require.ErrorIs(t, err, token.ErrMalformed)
}

func TestParseTakesTheLastOfDuplicates(t *testing.T) {
	t.Parallel()
	p, err := token.Parse(`{"chn":1,"tags":null,"tags":["a"],"iat":1,"exp":"x","exp":3,"ch\u006e":"c"}.`)
	require.NoError(t, err)
	require.Equal(t, "c", p.Channel)
	require.Equal(t, []string{"a"}, p.Tags)

	_, err = token.Parse(`{"chn":"c","tags":["a"],"tags":null,"iat":1,"exp":3}.`)
	require.ErrorIs(t, err, token.ErrMalformed)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"null in tags":         `{"chn":"c","tags":["a",null],"iat":1,"exp":3}.`,
		"null in rpc":          `{"chn":"c","rpc":[null],"iat":1,"exp":3}.`,
		"exp is a text":        `{"chn":"c","iat":1,"exp":"3"}.`,
		"exp is infinite":      `{"chn":"c","iat":1,"exp":-1e400}.`,
		"exp at minus 1e300":   `{"chn":"c","iat":1,"exp":-1e300}.`,
		"iat in year 10000":    `{"chn":"c","iat":253402300800,"exp":3}.`,
		"iat is infinite":      `{"chn":"c","iat":1e400,"exp":3}.`,
		"not UTF-8":            "{\"chn\":\"\xff\",\"iat\":1,\"exp\":3}.",
		"jwt with null claims": `eyJhbGciOiJIUzI1NiJ9.bnVsbA.`,
		"jwt of something else": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ." +
			"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := token.Parse(text)
			require.ErrorIs(t, err, token.ErrMalformed)
		})
	}
}

func TestParseNamesWhatItIsNot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":        "token: parse: malformed: it is empty",
		"garbage": "token: parse: malformed: it is neither a signed value nor a JWT",
		"a.b":     "token: parse: malformed: it is neither a signed value nor a JWT",
		"a.b.c.d": "token: parse: malformed: it is neither a signed value nor a JWT",
		"{}":      "token: parse: malformed: no dot",
	} {
		_, err := token.Parse(text)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, token.ErrMalformed)
	}
}

// The original accepts any expiry. A time after the year 9999 is read as the end of that
// year, which every layout of package time can format.
func TestExpiryAfterTheYear9999(t *testing.T) {
	t.Parallel()
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	hs256 := newJWT(t, "HS256", []byte("k"), nil)
	for _, exp := range []string{"253402300799", "253402300799.5", "253402300800", "1e15", "1e300", "1e400", "1" + strings.Repeat("0", 400)} {
		text := `{"chn":"c","iat":1,"exp":` + exp + `}`
		for form, test := range map[string]struct {
			key    token.Verifier
			signed string
		}{
			"signed value": {token.Secret("k"), signText(t, text)},
			"jwt":          {hs256, signJWT(t, `{"alg":"HS256"}`, text)},
		} {
			t.Run(form+" "+exp[:min(len(exp), 20)], func(t *testing.T) {
				t.Parallel()
				p, err := test.key.Verify(t.Context(), test.signed)
				require.NoError(t, err)
				require.Equal(t, last, p.ExpiresAt)
				require.Equal(t, text, string(p.Raw), "the signed text is kept")
				parsed, err := token.Parse(test.signed)
				require.NoError(t, err)
				require.Equal(t, p, parsed)
			})
		}
	}
}

// signText signs any text with the secret "k".
func signText(t *testing.T, text string) string {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("k"))
	_, _ = mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signJWT returns a JWT with any header and claims, signed by HS256 with the key "k".
func signJWT(t *testing.T, header, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte("k"))
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestAtt(t *testing.T) {
	t.Parallel()
	type user struct {
		ID string `json:"id"`
	}
	u, err := token.Att[user](&token.Payload{Att: json.RawMessage(`{"id":"user-123"}`)})
	require.NoError(t, err)
	require.Equal(t, user{ID: "user-123"}, u)

	_, err = token.Att[user](&token.Payload{})
	require.ErrorIs(t, err, token.ErrNoAttachment)

	_, err = token.Att[user](&token.Payload{Att: json.RawMessage(`[]`)})
	var wrongType *json.UnmarshalTypeError
	require.ErrorAs(t, err, &wrongType)

	none, err := token.Att[*user](&token.Payload{Att: json.RawMessage(`null`)})
	require.NoError(t, err)
	require.Nil(t, none)
}
