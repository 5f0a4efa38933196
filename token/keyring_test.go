package token_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

func TestKeyringSignsWithTheCurrentSecret(t *testing.T) {
	t.Parallel()
	p := &token.Payload{Channel: "c", IssuedAt: end, ExpiresAt: end}
	require.Equal(t, sign(t, token.Secret("new"), p), sign(t, token.NewKeyring("new", "old"), p))
}

func TestKeyringVerifiesWithEverySecret(t *testing.T) {
	t.Parallel()
	ring := token.NewKeyring("new", "old", "", "older")
	for _, secret := range []token.Secret{"new", "old", "older"} {
		p, err := ring.Verify(t.Context(), sign(t, secret, &token.Payload{Channel: "c", ExpiresAt: end}))
		require.NoError(t, err)
		require.Equal(t, "c", p.Channel)
	}
	_, err := ring.Verify(t.Context(), sign(t, token.Secret("stolen"), &token.Payload{ExpiresAt: end}))
	require.ErrorIs(t, err, token.ErrSignature)
}

func TestKeyringTellsWhatIsWrongBesideTheSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := token.NewKeyring("new", "old", "older")
		expired := sign(t, token.Secret("old"), &token.Payload{ExpiresAt: time.Now().Add(-time.Second)})
		_, err := ring.Verify(t.Context(), expired)
		require.ErrorIs(t, err, token.ErrExpired)
		require.NotErrorIs(t, err, token.ErrSignature)
	})
}

// signedWithNothing has the right signature under the empty secret.
const signedWithNothing = `{"chn":"c","iat":0,"exp":4102444800}.k4xbH6D27S_Z-29EC5z35P3dMz1E5HhVCtHfX-IXs88`

func TestNoSecretNeitherSignsNorVerifies(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]interface {
		token.Signer
		token.Verifier
	}{
		"empty secret":          token.Secret(""),
		"keyring of an empty":   token.NewKeyring(""),
		"keyring of two empty":  token.NewKeyring("", ""),
		"zero keyring":          &token.Keyring{},
		"previous without head": token.NewKeyring("", "old"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := key.Sign(t.Context(), &token.Payload{ExpiresAt: end})
			require.ErrorIs(t, err, token.ErrNoSigningKey)
			_, err = key.Verify(t.Context(), signedWithNothing)
			require.ErrorIs(t, err, token.ErrSignature)
		})
	}
}

func TestKeyringKeepsItsOwnList(t *testing.T) {
	t.Parallel()
	previous := []token.Secret{"old"}
	ring := token.NewKeyring("new", previous...)
	previous[0] = "stolen"
	_, err := ring.Verify(t.Context(), sign(t, token.Secret("old"), &token.Payload{ExpiresAt: end}))
	require.NoError(t, err)
	_, err = ring.Verify(t.Context(), sign(t, token.Secret("stolen"), &token.Payload{ExpiresAt: end}))
	require.ErrorIs(t, err, token.ErrSignature)
}
