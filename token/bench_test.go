package token_test

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

func BenchmarkToken(b *testing.B) {
	_, edKey, err := ed25519.GenerateKey(nil)
	require.NoError(b, err)
	p := &token.Payload{
		Channel: "some-room", Tags: []string{"tag1", "tag2"}, RPC: []string{"singleClient", "routerClient"},
		Att: json.RawMessage(`{"userId":"user-123","role":"admin"}`), IssuedAt: end, ExpiresAt: end,
	}
	for name, key := range map[string]interface {
		token.Signer
		token.Verifier
	}{
		"Secret":  token.Secret("secret-key"),
		"Keyring": token.NewKeyring("secret-key", "old-key"),
		"HS256":   newJWT(b, "HS256", []byte("secret-key"), nil),
		"EdDSA":   newJWT(b, "EdDSA", edKey, nil),
	} {
		signed := sign(b, key, p)
		b.Run("Sign/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(b.Context(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Verify/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Verify(b.Context(), signed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
