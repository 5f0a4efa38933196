package socket_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	patterns := []string{"*.friend.example", "HTTPS://secure.example"}
	for origin, allowed := range map[string]bool{
		"":                                  true, // not a browser
		"http://host.example":               true,
		"https://HOST.example":              true,
		"http://host.example:81":            false,
		"http://a.friend.example":           true,
		"http://A.Friend.Example":           true,
		"http://friend.example":             false,
		"http://a.b.friend.example":         true,
		"https://secure.example":            true,
		"http://secure.example":             false,
		"https://secure.example:8443":       false,
		"https://evil.example":              false,
		"https://host.example.evil.example": false,
		"null":                              false,
		"%":                                 false,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://host.example/", nil)
		r.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		err := socket.CheckHandshake(http.Header{}, r, socket.Options{OriginPatterns: patterns})
		require.Equal(t, allowed, err == nil, origin)
		if err != nil {
			require.Equal(t, http.StatusForbidden, err.Status)
		}
		require.Nil(t, socket.CheckHandshake(http.Header{}, r, socket.Options{AnyOrigin: true}), origin)
	}
	require.NoError(t, socket.CheckOriginPattern("*.example"))
	require.Error(t, socket.CheckOriginPattern("[a"))
	require.Error(t, socket.CheckOriginPattern(""))
	require.EqualError(t, socket.CheckOriginPattern("https://a.example:443"),
		`socket: origin pattern "https://a.example:443": "https://a.example:443": browsers send it without the port of the scheme`)
}
