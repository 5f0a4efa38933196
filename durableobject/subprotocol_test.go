package durableobject_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

func tokenProtocol(tok string) string {
	return "token." + base64.RawURLEncoding.EncodeToString([]byte(tok))
}

// offer opens a WebSocket as a page in a browser does.
func (f *fixture) offer(origin, query string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(f.t.Context(), "ws://rooms/?"+query, &websocket.DialOptions{
		HTTPClient: f.http, Subprotocols: protocols, HTTPHeader: http.Header{"Origin": {origin}},
	})
}

func TestTokenInTheSubprotocol(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		ws, res, err := f.offer("http://rooms", "id=a", "durable-iterator", tokenProtocol(sign(t, "room")))
		require.NoError(t, err)
		require.Equal(t, "durable-iterator", ws.Subprotocol())
		require.NotContains(t, res.Header.Get("Sec-Websocket-Protocol"), "token")
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(`{"i":"1","p":{"u":"/subscribe","b":{}}}`)))
		_, frame, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.Contains(t, string(frame), "text/event-stream")
		require.NoError(t, ws.CloseNow())
	})
}

// A token that is not encoded is refused whatever the verifier is. Otherwise a JWT would work
// until it has a character that the header cannot have.
func TestTokenNotEncodedInTheSubprotocol(t *testing.T) {
	key, err := token.NewJWT("HS256", []byte("0123456789abcdef0123456789abcdef"), nil)
	require.NoError(t, err)
	bubble(t, durableobject.Options{Verifier: key}, func(t *testing.T, f *fixture) {
		tok, err := key.Sign(t.Context(), &token.Payload{Channel: "room", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		for offered, accepted := range map[string]bool{"token." + tok: false, tokenProtocol(tok): true} {
			ws, _, err := f.offer("http://rooms", "id=a", "durable-iterator", offered)
			require.NoError(t, err)
			if accepted {
				require.NoError(t, ws.CloseNow())
				continue
			}
			_, _, err = ws.Read(t.Context())
			require.EqualValues(t, 4401, websocket.CloseStatus(err))
			_ = ws.CloseNow() // it was closed
		}
	})
}

// A client that offers no subprotocol is answered as by oRPC's server.
func TestNoSubprotocolIsSelectedUnasked(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		ws, res, err := f.offer("http://rooms", url.Values{"id": {"a"}, "token": {sign(t, "room")}}.Encode())
		require.NoError(t, err)
		require.NotContains(t, res.Header, "Sec-Websocket-Protocol")
		require.NoError(t, ws.CloseNow())
	})
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := false
		made := 0
		f := newFixture(t, durableobject.Options{Verifier: verifierFunc(func(ctx context.Context, tok string) (*token.Payload, error) {
			if down {
				return nil, errors.New("no answer")
			}
			return secret.Verify(ctx, tok)
		})}, &durableobject.HandlerOptions{Authorize: func(_ *http.Request, p *token.Payload) error {
			if string(p.Att) == `"refused"` {
				return errors.New("a secret")
			}
			return nil
		}})
		f.hooks.made = func(string) { made++ }
		for name, c := range map[string]struct {
			protocols []string
			query     string
			code      int
			reason    string
		}{
			"no token":           {nil, "id=a", 4401, "Token is required"},
			"no id":              {[]string{tokenProtocol(sign(t, "room"))}, "", 4401, "ID is required"},
			"long id":            {[]string{tokenProtocol(sign(t, "room"))}, "id=" + strings.Repeat("x", 257), 4400, "ID is too long"},
			"bad token":          {[]string{tokenProtocol("x")}, "id=a", 4401, "Invalid Token"},
			"bad encoding":       {[]string{"token.%%"}, "id=a", 4401, "Invalid Token"},
			"large token":        {[]string{tokenProtocol(strings.Repeat("x", 9000))}, "id=a", 4401, "Invalid Token"},
			"the last counts":    {[]string{tokenProtocol(sign(t, "room")), tokenProtocol("x")}, "id=a", 4401, "Invalid Token"},
			"not authorized":     {[]string{tokenProtocol(sign(t, "room", withAtt(`"refused"`)))}, "id=a", 4403, "Forbidden"},
			"verifier is down":   {[]string{tokenProtocol("down")}, "id=a", 4503, "Token cannot be verified"},
			"token in the query": {nil, url.Values{"id": {"a"}, "token": {"x"}}.Encode(), 4401, "Invalid Token"},
		} {
			down = name == "verifier is down"
			ws, _, err := f.offer("http://rooms", c.query, append([]string{"durable-iterator"}, c.protocols...)...)
			require.NoError(t, err, name)
			_, _, err = ws.Read(t.Context())
			refused, ok := errors.AsType[websocket.CloseError](err)
			require.True(t, ok, name)
			require.Equal(t, c.code, int(refused.Code), name)
			require.Equal(t, c.reason, refused.Reason, name)
		}
		require.Zero(t, made, "no object was made")
		f.end()
	})
}

// A page of a foreign origin does not learn the status.
func TestForeignOriginsAreNotRefusedOpenly(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		_, res, err := f.offer("http://evil.example", "id=a", "durable-iterator", tokenProtocol(sign(t, "room")))
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	})
}

// Refused clients that stay are disconnected, and the number of refusals by a close frame is
// limited.
func TestOpenRefusalsAreBounded(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		open := 0
		for range 300 {
			_, res, err := f.offer("http://rooms", "id=a", "durable-iterator")
			if err == nil {
				open++
				continue
			}
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		}
		require.Equal(t, 256, open)
		time.Sleep(2 * time.Second) // they neither read nor close
		_, _, err := f.offer("http://rooms", "id=a", "durable-iterator")
		require.NoError(t, err, "there is room again")
		time.Sleep(2 * time.Second)
	})
}
