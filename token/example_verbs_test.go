package token_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// payload is the payload of the examples.
func payload() *token.Payload {
	return &token.Payload{
		Channel: "some-room", IssuedAt: time.Unix(1700000000, 0), ExpiresAt: time.Unix(4102444800, 0),
	}
}

func ExampleSecret_Sign() {
	signed, err := token.Secret("secret-key").Sign(context.Background(), payload())
	fmt.Println(signed, err)
	// Output:
	// {"chn":"some-room","iat":1700000000,"exp":4102444800}.m9qjQiZCisZsmK2z-8ilbxLv8h4cuWLUfns-RnKs58I <nil>
}

// Distinguish the errors of Verify with errors.Is.
func ExampleSecret_Verify() {
	ctx, secret := context.Background(), token.Secret("secret-key")
	expired := payload()
	expired.ExpiresAt = time.Unix(1700000060, 0)
	signed, err := secret.Sign(ctx, expired)
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = secret.Verify(ctx, signed)
	fmt.Println(errors.Is(err, token.ErrExpired))
	_, err = secret.Verify(ctx, signed+"x")
	fmt.Println(errors.Is(err, token.ErrSignature))
	_, err = secret.Verify(ctx, "no token")
	fmt.Println(errors.Is(err, token.ErrMalformed))
	// Output:
	// true
	// true
	// true
}

func ExampleSecret_String() {
	fmt.Println(token.Secret("secret-key"), string(token.Secret("secret-key")))
	// Output: [redacted] secret-key
}

func ExampleSecret_GoString() {
	fmt.Printf("%#v\n", token.Secret("secret-key"))
	// Output: [redacted]
}

func ExampleSecret_Format() {
	fmt.Printf("%q %x\n", token.Secret("secret-key"), token.Secret("secret-key"))
	// Output: [redacted] [redacted]
}

func ExampleSecret_MarshalText() {
	text, err := json.Marshal(map[string]token.Secret{"key": "secret-key"})
	fmt.Println(string(text), err)
	// Output: {"key":"[redacted]"} <nil>
}

func ExampleSecret_LogValue() {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	log.Info("started", "key", token.Secret("secret-key"))
	// Output: level=INFO msg=started key=[redacted]
}

// A Keyring signs with its current secret.
func ExampleKeyring_Sign() {
	ctx := context.Background()
	signed, err := token.NewKeyring("new-secret", "old-secret").Sign(ctx, payload())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = token.Secret("new-secret").Verify(ctx, signed)
	fmt.Println(err)
	// Output: <nil>
}

// A Keyring verifies with all of its secrets.
func ExampleKeyring_Verify() {
	ctx, ring := context.Background(), token.NewKeyring("new-secret", "old-secret")
	for _, secret := range []token.Secret{"new-secret", "old-secret", "another"} {
		signed, err := secret.Sign(ctx, payload())
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = ring.Verify(ctx, signed)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// token: verify: wrong signature
}

func ExampleJWT_Sign() {
	key, err := token.NewJWT("HS256", []byte("at least thirty-two random bytes"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := key.Sign(context.Background(), payload())
	fmt.Println(signed, err)
	// Output:
	// eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaG4iOiJzb21lLXJvb20iLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.D1lmEPcDVsxX1gOXPx17CSOokNpP25Nn19swYdPED_0 <nil>
}

// A verifier with an issuer accepts only the tokens of that issuer.
func ExampleJWT_Verify() {
	ctx := context.Background()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := token.NewJWT("EdDSA", private, &token.JWTOptions{Issuer: "accounts"})
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := signer.Sign(ctx, payload())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, issuer := range []string{"accounts", "another"} {
		verifier, err := token.NewJWT("EdDSA", public, &token.JWTOptions{Issuer: issuer})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = verifier.Verify(ctx, signed)
		fmt.Println(err == nil, errors.Is(err, token.ErrClaims))
	}
	// Output:
	// true false
	// false true
}

// A payload is still good at the very time of its expiry.
func ExamplePayload_Expired() {
	p := payload()
	fmt.Println(p.Expired(p.ExpiresAt), p.Expired(p.ExpiresAt.Add(time.Second)))
	// Output: false true
}
