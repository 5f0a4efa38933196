package token_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

func ExampleSecret() {
	ctx := context.Background()
	secret := token.Secret("secret-key")

	signed, err := secret.Sign(ctx, &token.Payload{
		Channel:   "some-room",
		Tags:      []string{"tag1", "tag2"},
		IssuedAt:  time.Unix(1700000000, 0),
		ExpiresAt: time.Unix(4102444800, 0),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(signed)

	payload, err := secret.Verify(ctx, signed)
	if err != nil {
		panic(err)
	}
	fmt.Println(payload.Channel, payload.Tags)

	_, err = token.Secret("another").Verify(ctx, signed)
	fmt.Println(errors.Is(err, token.ErrSignature))

	fmt.Println("the secret prints as", secret)
	// Output:
	// {"chn":"some-room","tags":["tag1","tag2"],"iat":1700000000,"exp":4102444800}.b-9__-05gEPOCp_ypnrHQzUaTuhhpyEmo9lt5oI2_Ms
	// some-room [tag1 tag2]
	// true
	// the secret prints as [redacted]
}

// A token that was signed before the secret was replaced is still valid.
func ExampleNewKeyring() {
	ctx := context.Background()
	old, err := token.Secret("old-secret").Sign(ctx, &token.Payload{
		Channel:   "some-room",
		ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		panic(err)
	}

	ring := token.NewKeyring("new-secret", "old-secret")
	payload, err := ring.Verify(ctx, old)
	if err != nil {
		panic(err)
	}
	fmt.Println(payload.Channel)
	// Output: some-room
}

// The server has only the public key: it can verify tokens but not sign them.
func ExampleNewJWT() {
	ctx := context.Background()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	api, err := token.NewJWT("EdDSA", private, &token.JWTOptions{Audience: "hub"})
	if err != nil {
		panic(err)
	}
	hub, err := token.NewJWT("EdDSA", public, &token.JWTOptions{Audience: "hub"})
	if err != nil {
		panic(err)
	}

	signed, err := api.Sign(ctx, &token.Payload{
		Channel:   "some-room",
		ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		panic(err)
	}
	payload, err := hub.Verify(ctx, signed)
	if err != nil {
		panic(err)
	}
	fmt.Println(payload.Channel)

	_, err = hub.Sign(ctx, payload)
	fmt.Println(err)
	// Output:
	// some-room
	// token: sign: no signing key
}

// A client has no key. It reads the payload of its token.
func ExampleParse() {
	payload, err := token.Parse(`{"chn":"some-room","rpc":["sendMessage"],"iat":1700000000,"exp":4102444800}.c2lnbmF0dXJl`)
	if err != nil {
		panic(err)
	}
	fmt.Println(payload.Channel, payload.RPC, payload.ExpiresAt)

	_, err = token.Parse(`{"chn":"some-room","iat":1700000000}.c2lnbmF0dXJl`)
	fmt.Println(err)
	// Output:
	// some-room [sendMessage] 2100-01-01 00:00:00 +0000 UTC
	// token: parse: malformed: exp is required
}

func ExampleAtt() {
	type User struct {
		ID   string `json:"id"`
		Role string `json:"role"`
	}
	payload := &token.Payload{Att: json.RawMessage(`{"id":"user-123","role":"admin"}`)}

	user, err := token.Att[User](payload)
	if err != nil {
		panic(err)
	}
	fmt.Println(user.ID, user.Role)
	// Output: user-123 admin
}
