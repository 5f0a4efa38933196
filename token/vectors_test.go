package token

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// vectors are recordings of the original, see testdata/token.json.
type vectors struct {
	MadeAt     int64 // Unix seconds
	Signed     []vector
	SignErrors []vector
	Tokens     []vector
	RawSigned  []struct {
		Value, Signed any // text, or a tagged text that is no Unicode
		Secret        Secret
	}
	Base64URL []struct {
		Name    string
		Bytes   []int
		Encoded *string
		Text    *string
		Decoded any // bytes, or a tagged undefined
	}
}

type vector struct {
	Name        string
	Secret      Secret
	PayloadJSON string
	Token       string
	Unsign      any             // text, or a tagged undefined
	Verify      json.RawMessage // payload, or a tagged undefined
	Parse       json.RawMessage // payload; missing if refused
}

// key distinguishes vectors with the same name.
func (v vector) key() string { return v.Name + " under " + string(v.Secret) }

func loadVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/token.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(text, &v))
	require.NotZero(t, v.MadeAt)
	for _, count := range []int{len(v.Signed), len(v.SignErrors), len(v.Tokens), len(v.RawSigned), len(v.Base64URL)} {
		require.NotZero(t, count)
	}
	return v
}

// at runs test in a bubble whose clock is set to now.
func at(t *testing.T, now time.Time, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		test(t)
	})
}

// TestVectorsRead reads every recorded token at the recorded time.
func TestVectorsRead(t *testing.T) {
	year9999 := map[string]bool{"exp infinite": true} // tokens that expire here
	all := loadVectors(t)
	seen := map[string]bool{}
	now := time.Unix(all.MadeAt, 0).Add(time.Millisecond)
	for _, v := range append(all.Signed, all.Tokens...) {
		t.Run(v.key(), func(t *testing.T) {
			at(t, now, func(t *testing.T) {
				parsed, parseErr := Parse(v.Token)
				verified, verifyErr := v.Secret.Verify(t.Context(), v.Token)
				if year9999[v.Name] {
					seen[v.Name] = true
					require.NoError(t, parseErr)
					require.NoError(t, verifyErr)
					require.Equal(t, int64(lastSecond), parsed.ExpiresAt.Unix())
					require.Equal(t, parsed, verified)
					return
				}

				if v.Parse == nil {
					require.ErrorIs(t, parseErr, ErrMalformed)
				} else {
					require.NoError(t, parseErr)
					requirePayload(t, v.Parse, parsed)
				}

				text, unsigned := v.Unsign.(string)
				switch {
				case !isUndefined(v.Verify):
					require.NoError(t, verifyErr)
					requirePayload(t, v.Verify, verified)
					require.Equal(t, text, string(verified.Raw))
					require.Equal(t, parsed, verified)
				case !unsigned && strings.Contains(v.Token, "."):
					require.ErrorIs(t, verifyErr, ErrSignature)
				case v.Parse != nil && unsigned:
					require.ErrorIs(t, verifyErr, ErrExpired)
				default:
					require.ErrorIs(t, verifyErr, ErrMalformed)
				}
			})
		})
	}
	require.Len(t, seen, len(year9999), "a difference that is none any more")
}

// TestVectorsSign signs the payload of every recorded token and expects the same token.
func TestVectorsSign(t *testing.T) {
	differences := map[string]string{ // to the payload that is signed here
		// iat is whole seconds, as oRPC's iterator makes it.
		"fractional times": `{"chn":"c","iat":1,"exp":4102444800.25}`,
		// A Payload does not keep the order of members.
		"own order of keys": `{"chn":"c","iat":1700000000,"exp":4102444800}`,
		// A Go string cannot contain a lone surrogate; it is read as U+FFFD.
		"lone surrogate": "{\"chn\":\"a\uFFFD\",\"iat\":1700000000,\"exp\":4102444800}",
	}
	pending := maps.Clone(differences)
	for _, v := range loadVectors(t).Signed {
		t.Run(v.key(), func(t *testing.T) {
			p, err := Parse(v.Token)
			require.NoError(t, err)
			signed, err := v.Secret.Sign(t.Context(), p)
			require.NoError(t, err)
			if text, ok := differences[v.Name]; ok {
				delete(pending, v.Name)
				require.Equal(t, v.Secret.sign([]byte(text)), signed)
				return
			}
			require.Equal(t, v.Token, signed)
		})
	}
	require.Empty(t, pending, "a difference that is none any more")
}

func TestVectorsSignErrors(t *testing.T) {
	for _, v := range loadVectors(t).SignErrors {
		t.Run(v.Name, func(t *testing.T) {
			_, err := v.Secret.Sign(t.Context(), &Payload{ExpiresAt: time.Unix(4102444800, 0)})
			require.ErrorIs(t, err, ErrNoSigningKey)
		})
	}
}

// TestVectorsRawSigned tests strings that are not payloads, such as the empty one and those
// with dots.
func TestVectorsRawSigned(t *testing.T) {
	for _, v := range loadVectors(t).RawSigned {
		text, ok := v.Value.(string)
		if !ok { // a lone surrogate, signed as U+FFFD
			text = utf16Text(t, v.Value)
			signature := v.Signed.(map[string]any)["signature"].(string)
			require.Equal(t, text+"."+signature, v.Secret.sign([]byte(text)))
			continue
		}
		t.Run(text, func(t *testing.T) {
			require.Equal(t, v.Signed, v.Secret.sign([]byte(text)))
			cut, signature, ok := cutSigned(v.Signed.(string))
			require.True(t, ok)
			require.Equal(t, text, string(cut))
			mac, err := decodeSignature(signature)
			require.NoError(t, err)
			require.True(t, v.Secret.matches(cut, mac))
			require.False(t, v.Secret.matches(append(cut, '.'), mac))
			require.False(t, (v.Secret+"x").matches(cut, mac))
		})
	}
}

func TestVectorsBase64URL(t *testing.T) {
	for _, v := range loadVectors(t).Base64URL {
		if v.Encoded != nil {
			t.Run(v.Name, func(t *testing.T) {
				require.Equal(t, *v.Encoded, signatureEncoding.EncodeToString(bytesOf(v.Bytes)))
				decoded, err := decodeSignature(*v.Encoded)
				require.NoError(t, err)
				require.Equal(t, bytesOf(v.Bytes), decoded)
			})
			continue
		}
		t.Run(v.Name+" "+*v.Text, func(t *testing.T) {
			decoded, err := decodeSignature(*v.Text)
			want, ok := v.Decoded.([]any)
			if !ok {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Len(t, decoded, len(want))
			for i, b := range want {
				require.EqualValues(t, b, decoded[i])
			}
		})
	}
}

// requirePayload compares a payload with the JSON object that it was read from.
func requirePayload(t *testing.T, want json.RawMessage, got *Payload) {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(want, &members))
	for name, value := range map[string]any{
		"chn":  got.Channel,
		"tags": got.Tags,
		"rpc":  got.RPC,
		"att":  got.Att,
		"iat":  float64(got.IssuedAt.UnixNano()) / 1e9,
		"exp":  float64(got.ExpiresAt.UnixNano()) / 1e9,
	} {
		member, ok := members[name]
		if !ok {
			require.Nil(t, value, name)
			continue
		}
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.JSONEq(t, string(member), string(text), name)
	}
}

func isUndefined(value json.RawMessage) bool {
	var tagged map[string]any
	return json.Unmarshal(value, &tagged) == nil && tagged["$"] == "undefined"
}

func utf16Text(t *testing.T, value any) string {
	t.Helper()
	var units []uint16
	for _, unit := range value.(map[string]any)["v"].([]any) {
		units = append(units, uint16(unit.(float64)))
	}
	require.NotEmpty(t, units)
	return string(utf16.Decode(units))
}

func bytesOf(numbers []int) []byte {
	out := make([]byte, len(numbers))
	for i, n := range numbers {
		out[i] = byte(n)
	}
	return out
}
