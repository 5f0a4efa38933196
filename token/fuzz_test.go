package token

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzToken passes any string to all readers: none may panic, every refusal must have a
// kind, and a token that is verified must be parsed.
func FuzzToken(f *testing.F) {
	all := loadVectors(f)
	for _, v := range append(all.Signed, all.Tokens...) {
		f.Add(v.Token)
	}
	const secret = Secret("secret-key")
	hmacJWT, err := NewJWT("HS256", secret, nil)
	require.NoError(f, err)
	signed, err := hmacJWT.Sign(f.Context(), &Payload{Channel: "c", ExpiresAt: time.Unix(4102444800, 0)})
	require.NoError(f, err)
	f.Add(signed)
	f.Add("eyJhbGciOiJIUzI1NiJ9.bnVsbA.") // null claims

	f.Fuzz(func(t *testing.T, token string) {
		parsed, err := Parse(token)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
		}
		for _, key := range []Verifier{secret, NewKeyring("new", secret), hmacJWT} {
			verified, err := key.Verify(t.Context(), token)
			if err != nil {
				require.Nil(t, verified)
				require.True(t, errors.Is(err, ErrMalformed) || errors.Is(err, ErrSignature) ||
					errors.Is(err, ErrExpired) || errors.Is(err, ErrClaims), "%v", err)
				continue
			}
			require.Equal(t, parsed, verified)
		}
	})
}

// FuzzPayload signs any text correctly. If it is verified, it can be signed again, in both
// forms, and has the same payload.
func FuzzPayload(f *testing.F) {
	all := loadVectors(f)
	for _, v := range append(all.Signed, all.Tokens...) {
		if text, ok := v.Unsign.(string); ok {
			f.Add(text)
		}
	}
	const secret = Secret("secret-key")
	hmacJWT, err := NewJWT("HS256", secret, nil)
	require.NoError(f, err)

	f.Fuzz(func(t *testing.T, text string) {
		first, err := secret.Verify(t.Context(), secret.sign([]byte(text)))
		if err != nil {
			require.NotErrorIs(t, err, ErrSignature)
			return
		}
		require.Equal(t, text, string(first.Raw))
		for _, key := range []interface {
			Signer
			Verifier
		}{secret, hmacJWT} {
			signed, err := key.Sign(t.Context(), first)
			require.NoError(t, err)
			second, err := key.Verify(t.Context(), signed)
			require.NoError(t, err)
			if first.Att != nil {
				require.JSONEq(t, string(first.Att), string(second.Att))
			}
			want, got := *first, *second
			want.Raw, got.Raw, want.Att, got.Att = nil, nil, nil, nil
			want.IssuedAt = want.IssuedAt.Truncate(time.Second)
			require.Equal(t, want, got)
		}
	})
}
