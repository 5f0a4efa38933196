package token_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// The id of a token is a member that oRPC does not know.
func TestID(t *testing.T) {
	t.Parallel()
	keys := map[string]interface {
		token.Signer
		token.Verifier
	}{"signed value": token.Secret("k"), "JWT": newJWT(t, "HS256", []byte("k"), nil)}
	for name, key := range keys {
		for _, id := range []string{"", "session-1", `"<\u2028>`} {
			t.Run(name+" "+id, func(t *testing.T) {
				t.Parallel()
				tok := sign(t, key, &token.Payload{Channel: "c", ExpiresAt: end, ID: id})
				p, err := key.Verify(t.Context(), tok)
				require.NoError(t, err)
				require.Equal(t, id, p.ID)
				p, err = token.Parse(tok)
				require.NoError(t, err)
				require.Equal(t, id, p.ID)
			})
		}
	}
}

func TestIDOfAnySigner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`"x"`: "x", `7`: "", `null`: "", `{"a":1}`: "", `""`: ""} {
		p, err := token.Parse(`{"chn":"c","iat":1,"exp":2,"jti":` + text + `}.sig`)
		require.NoError(t, err, text)
		require.Equal(t, want, p.ID, text)
	}
}

func TestIDThatIsNotSigned(t *testing.T) {
	t.Parallel()
	for _, id := range []string{string(make([]byte, 257)), "\xff"} {
		_, err := token.Secret("k").Sign(t.Context(), &token.Payload{Channel: "c", ExpiresAt: end, ID: id})
		require.ErrorIs(t, err, token.ErrInvalidPayload)
	}
}
