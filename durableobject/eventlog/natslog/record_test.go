package natslog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, channel := range []string{"", "a", "A", "a.b", "*", ">", " ", "\x00", "\xff", strings.Repeat("n", 96), strings.Repeat("n", 97), strings.Repeat("n", 98)} {
		token := token(channel)
		require.Regexp(t, "^[A-Za-z0-9_-]{1,130}$", token)
		require.NotContains(t, seen, token, "%q and %q", channel, seen[token])
		seen[token] = channel
	}
}

// FuzzDecode decodes arbitrary bytes: a decoded record must be encoded to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, r := range []*eventlog.Record{
		{}, {Data: []byte{}}, {Data: []byte("data"), Meta: []byte("meta")},
		{Audience: eventlog.Audience{Tags: []string{}, Targets: []eventlog.Recipient{}, Excludes: []eventlog.Recipient{}}},
		{Audience: eventlog.Audience{Tags: []string{"a", ""}, Targets: []eventlog.Recipient{{Subject: "s", ID: "i"}}}},
	} {
		f.Add(encode(r))
	}
	f.Add([]byte{hasTags, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again eventlog.Record
		if decode(b, &r) != nil {
			return
		}
		require.NoError(t, decode(encode(&r), &again))
		require.Equal(t, r, again)
	})
}
