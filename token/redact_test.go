package token_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

const hidden = "topsecret"

// keyHolders returns values that contain the text hidden and must not print it.
func keyHolders(t *testing.T) map[string]any {
	t.Helper()
	secret := token.Secret(hidden)
	ring := token.NewKeyring(hidden, hidden)
	hs := newJWT(t, "HS256", []byte(hidden), &token.JWTOptions{KeyID: "id"})
	ed := newJWT(t, "EdDSA", ed25519.NewKeyFromSeed([]byte(strings.Repeat(hidden, 4)[:32])), nil)
	return map[string]any{
		"secret":           secret,
		"pointer":          &secret,
		"field":            struct{ Key token.Secret }{secret},
		"list":             []token.Secret{secret},
		"map":              map[string]token.Secret{"k": secret},
		"keyring":          ring,
		"keyring value":    *ring,
		"keyring field":    struct{ Key *token.Keyring }{ring},
		"keyring embedded": struct{ *token.Keyring }{ring},
		"keyring unexported": struct {
			n   int
			key token.Keyring
		}{1, *ring},
		"jwt":          hs,
		"jwt value":    *hs,
		"jwt embedded": struct{ *token.JWT }{hs},
		"jwt unexported": struct {
			n    int
			key  token.JWT
			also *token.JWT
		}{1, *ed, hs},
		"as interface": struct{ Signer token.Signer }{secret},
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	t.Parallel()
	for name, holder := range keyHolders(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%10.3v"} {
				requireHidden(t, fmt.Sprintf(verb, holder))
			}
			if strings.Contains(name, "keyring") || strings.Contains(name, "jwt") {
				requireHidden(t, fmt.Sprintf("%p", holder))
			}
			requireHidden(t, fmt.Sprint(holder))
			requireHidden(t, fmt.Errorf("wrapped: %v", holder).Error())

			text, err := json.Marshal(holder)
			require.NoError(t, err)
			requireHidden(t, string(text))

			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", holder, "group", slog.GroupValue(slog.Any("k", holder)))
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", holder, "group", slog.GroupValue(slog.Any("k", holder)))
			requireHidden(t, log.String())
		})
	}
}

func TestKeysPrintAsRedacted(t *testing.T) {
	t.Parallel()
	secret := token.Secret(hidden)
	for name, key := range map[string]interface {
		fmt.Stringer
		fmt.GoStringer
		fmt.Formatter
		slog.LogValuer
		MarshalText() ([]byte, error)
	}{
		"secret":  secret,
		"keyring": token.NewKeyring(hidden),
		"jwt":     newJWT(t, "HS256", secret, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const want = "[redacted]"
			require.Equal(t, want, key.String())
			require.Equal(t, want, key.GoString())
			require.Equal(t, want, key.LogValue().String())
			text, err := key.MarshalText()
			require.NoError(t, err)
			require.Equal(t, want, string(text))
			for _, verb := range []string{"%v", "%#v", "%s", "%q", "%x"} {
				require.Equal(t, want, fmt.Sprintf(verb, key))
			}
			text, err = json.Marshal(key)
			require.NoError(t, err)
			require.Equal(t, `"`+want+`"`, string(text))
			text, err = xml.Marshal(key)
			require.NoError(t, err)
			require.Contains(t, string(text), want)
		})
	}
	require.Equal(t, hidden, string(secret), "a conversion returns the secret")
}

func TestErrorsHideKeysAndTokens(t *testing.T) {
	t.Parallel()
	good := sign(t, token.Secret("other"), &token.Payload{Channel: "private-room", ExpiresAt: end})
	for name, key := range map[string]token.Verifier{
		"secret":  token.Secret(hidden),
		"keyring": token.NewKeyring(hidden, hidden),
		"jwt":     newJWT(t, "HS256", []byte(hidden), nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range []string{good, good + "!", "private-room", "private-room.x.y"} {
				_, err := key.Verify(t.Context(), text)
				require.Error(t, err)
				for ; err != nil; err = errors.Unwrap(err) {
					requireHidden(t, err.Error())
					require.NotContains(t, err.Error(), "private-room")
				}
			}
		})
	}
}

// requireHidden checks that printed does not contain the text, in hexadecimal or as numbers
// either.
func requireHidden(t *testing.T, printed string) {
	t.Helper()
	numbers := strings.Trim(fmt.Sprint([]byte(hidden)), "[]")
	for _, form := range []string{hidden, hidden[:3], hex.EncodeToString([]byte(hidden)), numbers} {
		require.NotContains(t, strings.ToLower(strings.ReplaceAll(printed, " ", "")), strings.ReplaceAll(form, " ", ""))
	}
}
