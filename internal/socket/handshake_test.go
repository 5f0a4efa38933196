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
		"":                                  true, // programs
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
}

// A bad version or key is refused before the connection is taken over, for which the
// recorder's would be answered with 501.
func TestKeys(t *testing.T) {
	t.Parallel()
	good := "dGhlIHNhbXBsZSBub25jZQ=="
	for name, test := range map[string]struct {
		versions, keys []string
		status         int
	}{
		"good":                {[]string{"13"}, []string{good}, http.StatusNotImplemented},
		"no version":          {nil, []string{good}, http.StatusBadRequest},
		"an old version":      {[]string{"8"}, []string{good}, http.StatusBadRequest},
		"no key":              {[]string{"13"}, nil, http.StatusBadRequest},
		"an empty key":        {[]string{"13"}, []string{""}, http.StatusBadRequest},
		"two keys":            {[]string{"13"}, []string{good, good}, http.StatusBadRequest},
		"a key of 15 bytes":   {[]string{"13"}, []string{"dGhlIHNhbXBsZSBub25j"}, http.StatusBadRequest},
		"a key of 17 bytes":   {[]string{"13"}, []string{"dGhlIHNhbXBsZSBub25jZSE="}, http.StatusBadRequest},
		"a key not in base64": {[]string{"13"}, []string{"the sample nonce"}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := socket.NewPool(1, 0)
			defer pool.Close()
			r := httptest.NewRequest(http.MethodGet, "http://host.example/", nil)
			r.Header = http.Header{
				"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"},
				"Sec-Websocket-Version": test.versions, "Sec-Websocket-Key": test.keys,
			}
			w := httptest.NewRecorder()
			require.Error(t, new(socket.Conn).Accept(w, r, pool, nil, socket.Options{ReadLimit: 1}))
			require.Equal(t, test.status, w.Code)
			require.NotContains(t, w.Header(), "Upgrade")
			require.NotContains(t, w.Header(), "Sec-Websocket-Accept")
			if test.status == http.StatusBadRequest && len(test.keys) == 1 && test.keys[0] == good {
				require.Equal(t, "13", w.Header().Get("Sec-Websocket-Version"), "which would be accepted")
			}
		})
	}
}
