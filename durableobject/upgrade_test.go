package durableobject_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// DI-070 to DI-074 and DI-098; W4, W15 and W18 corrected.
func TestUpgradeRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{}, &durableobject.HandlerOptions{
			OriginPatterns: []string{"*.friend.example"},
			Authorize: func(_ *http.Request, p *payload) error {
				switch string(p.Att) {
				case `"refused"`:
					return errors.New("a secret")
				case `"teapot"`:
					return &rpc.Error{Code: "TEAPOT", Status: 418, Message: "short and stout"}
				}
				return nil
			},
		})
		defer f.end()
		good := sign(t, "room")
		for name, test := range map[string]struct {
			query  url.Values
			header http.Header
			status int
			body   string
		}{
			"no upgrade":        {url.Values{"id": {"a"}, "token": {good}}, http.Header{"Upgrade": nil}, 426, "Expected WebSocket upgrade"},
			"other upgrade":     {url.Values{"id": {"a"}, "token": {good}}, http.Header{"Upgrade": {"h2c"}}, 426, "Expected WebSocket upgrade"},
			"no id":             {url.Values{"token": {good}}, nil, 401, "ID is required"},
			"empty id":          {url.Values{"id": {""}, "token": {good}}, nil, 401, "ID is required"},
			"last id is empty":  {url.Values{"id": {"a", ""}, "token": {good}}, nil, 401, "ID is required"},
			"long id":           {url.Values{"id": {strings.Repeat("x", 257)}, "token": {good}}, nil, 400, "ID is too long"},
			"no token":          {url.Values{"id": {"a"}}, nil, 401, "Token is required"},
			"empty token":       {url.Values{"id": {"a"}, "token": {""}}, nil, 401, "Token is required"},
			"bad token":         {url.Values{"id": {"a"}, "token": {"x"}}, nil, 401, "Invalid Token"},
			"last token is bad": {url.Values{"id": {"a"}, "token": {good, "x"}}, nil, 401, "Invalid Token"},
			"expired":           {url.Values{"id": {"a"}, "token": {sign(t, "room", withLife(-time.Second))}}, nil, 401, "Invalid Token"},
			"foreign origin":    {url.Values{"id": {"a"}, "token": {good}}, http.Header{"Origin": {"https://evil.example"}}, 403, ""},
			"not authorized":    {url.Values{"id": {"a"}, "token": {sign(t, "room", withAtt(`"refused"`))}}, nil, 403, "Forbidden"},
			"refused in style":  {url.Values{"id": {"a"}, "token": {sign(t, "room", withAtt(`"teapot"`))}}, nil, 418, "short and stout"},
		} {
			r := httptest.NewRequest(http.MethodGet, "/?"+test.query.Encode(), nil)
			r.Header = http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			maps.Copy(r.Header, test.header)
			w := httptest.NewRecorder()
			f.upgrade().ServeHTTP(w, r)
			require.Equal(t, test.status, w.Code, name)
			if test.body != "" {
				require.Equal(t, test.body, w.Body.String(), name)
			}
		}
		for _, origin := range []string{"", "https://rooms", "https://page.friend.example"} {
			ws, _, err := websocket.Dial(t.Context(), "ws://rooms/?"+url.Values{"id": {"a"}, "token": {good}}.Encode(),
				&websocket.DialOptions{HTTPClient: f.http, HTTPHeader: http.Header{"Origin": {origin}}})
			require.NoError(t, err, origin)
			require.NoError(t, ws.CloseNow())
		}
		synctest.Wait()
		require.Empty(t, collect(f.room("room").Websockets()))
	})
}

// The origin is checked first: nothing else of a request from another site is read, and the log
// record names the option that would allow it.
func TestForeignOriginsComeFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logBook{}
		asked := func() { require.Fail(t, "the request was looked at") }
		f := newFixture(t, durableobject.Options{
			Logger:   log.logger(),
			Verifier: verifierFunc(func(context.Context, string) (*token.Payload, error) { asked(); return nil, nil }),
			Channels: func(string) bool { asked(); return true },
		}, &durableobject.HandlerOptions{
			OriginPatterns: []string{"*.friend.example"},
			Authorize:      func(*http.Request, *payload) error { asked(); return nil },
			Context:        func(r *http.Request) context.Context { asked(); return r.Context() },
		})
		f.hooks.made = func(string) { asked() }
		good := url.Values{"id": {"a"}, "token": {sign(t, "room")}}
		for name, c := range map[string]struct {
			query    url.Values
			origin   string
			protocol string
		}{
			"a good token":                    {good, "https://evil.example", ""},
			"no token":                        {nil, "https://evil.example", ""},
			"a good token in the subprotocol": {url.Values{"id": {"a"}}, "https://evil.example", "durable-iterator, " + tokenProtocol(sign(t, "room"))},
			"a sandboxed page":                {good, "null", ""},
			"a very long name":                {good, "https://" + strings.Repeat("x", 1<<16), ""},
		} {
			w := f.handshake(c.query, http.Header{"Origin": {c.origin}, "Sec-Websocket-Protocol": {c.protocol}})
			require.Equal(t, http.StatusForbidden, w.Code, name)
			require.Equal(t, "Origin is not allowed", w.Body.String(), name)
		}
		synctest.Wait()
		require.EqualValues(t, 5, f.rooms.Stats().Refusals[durableobject.RefusedOrigin])
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), "the others are only counted")
		require.Contains(t, log.String(), "OriginPatterns")
		time.Sleep(10 * time.Second)
		f.handshake(good, http.Header{"Origin": {"https://" + strings.Repeat("x", 1<<16)}})
		synctest.Wait()
		require.Contains(t, log.String(), "suppressed=4")
		require.Less(t, len(log.String()), 2000, "names are shortened")
		f.end()
	})
}

func TestWebsocket(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		var gone []string
		f.hooks.disconnected = func(ws *durableobject.Websocket) { gone = append(gone, ws.ID()) }
		// Any text is an id; of several the last counts (W11: two may be the same).
		c, err := f.dial(url.Values{"id": {"first", "ž😀 +"}, "token": {"bad", sign(t, "room", withTags("", "x", "x"))}})
		require.NoError(t, err)
		f.connect("b")
		synctest.Wait()
		tagged := collect(f.room("room").Websockets("x", "y", ""))
		require.Len(t, tagged, 1)
		ws := tagged[0]
		require.Equal(t, "ž😀 +", ws.ID())
		require.Equal(t, "room", ws.Channel())
		require.Equal(t, []string{"", "x", "x"}, ws.Token().Tags)
		require.Nil(t, ws.Attachment())
		ws.Attach(7)
		ws.Attach("another type") // DI-123
		require.Equal(t, "another type", ws.Attachment())
		require.Len(t, collect(f.room("room").Websockets()), 2)
		ws.Close(4321, "bye")
		ce := <-c.closed
		require.Equal(t, "bye", ce.Reason)
		require.Equal(t, 4321, int(ce.Code))
		synctest.Wait()
		require.Equal(t, []string{"ž😀 +"}, gone)
		require.Len(t, collect(f.room("room").Websockets()), 1)
	})
}

// W20: a socket is closed when its token expires. The original closes it only at the next
// activity.
func TestExpiry(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		c := f.connect("a", withLife(3*time.Second))
		ce := <-c.closed
		require.Equal(t, 1008, int(ce.Code))
		require.Equal(t, "Token expired", ce.Reason)
		require.InDelta(t, 3*time.Second, time.Since(start), float64(time.Second))
	})
}

// A socket is closed when its token expires, even after the token was replaced by one with another
// expiry.
func TestExpiryOfUpdatedTokens(t *testing.T) {
	bubble(t, durableobject.Options{PingInterval: -1}, func(t *testing.T, f *fixture) {
		start := time.Now()
		c := f.connect("a", withLife(time.Hour))
		for _, life := range []tokenOption{
			withLife(10 * time.Second),
			withLife(math.MaxInt64),
			func(p *token.Payload) { p.ExpiresAt = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) },
			withLife(time.Minute),
		} {
			c.send(`{"i":"u","p":{"u":"/updateToken","b":{"json":{"token":` + quote(sign(t, "room", life)) + `}}}}`)
			require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, c.next())
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, 1008, int((<-c.closed).Code))
		require.Equal(t, 15*time.Second+time.Minute+time.Millisecond, time.Since(start))
	})
}

// A socket is closed after two ping intervals of silence, and not earlier.
func TestSilentSocketIsDropped(t *testing.T) {
	bubble(t, durableobject.Options{StallTimeout: time.Hour}, func(t *testing.T, f *fixture) {
		c, _ := f.stalled("silent")
		synctest.Wait()
		time.Sleep(time.Minute - time.Second)
		require.Len(t, collect(f.room("room").Websockets()), 1)
		time.Sleep(2 * time.Second)
		require.Empty(t, collect(f.room("room").Websockets()))
		c.drop()
	})
}

type userKey struct{}

func TestContextOfHooksAndCalls(t *testing.T) {
	t.Parallel()
	fromRequest := func(r *http.Request) context.Context {
		ctx, cancel := context.WithCancel(r.Context()) // as net/http does, when the handler returns
		cancel()
		return context.WithValue(ctx, userKey{}, "ann")
	}
	for name, test := range map[string]struct {
		context func(r *http.Request) context.Context
		user    any
	}{
		"none by default": {nil, nil},
		"by the options":  {fromRequest, "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen []any
				see := func(ctx context.Context) { seen = append(seen, ctx.Value(userKey{}), ctx.Err()) }
				f := newFixture(t, durableobject.Options{Interceptors: []rpc.Interceptor{
					rpc.OnStart(func(ctx context.Context, _ *rpc.Call) { see(ctx) }),
				}}, &durableobject.HandlerOptions{Context: test.context})
				f.hooks.context = see
				c := f.connect("a")
				c.subscribe()
				synctest.Wait()
				c.drop()
				require.Equal(t, slices.Repeat([]any{test.user, nil}, 3), seen, "subscribe, OnSubscribed, OnDisconnected")
				f.end()
			})
		})
	}
}

// W38: a dead connection is noticed.
func TestPings(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		alive := f.connect("alive")
		alive.subscribe()
		time.Sleep(time.Hour)
		f.publish("still here") // the client answers pings
		alive.sees("still here")
		require.Len(t, collect(f.room("room").Websockets()), 1)
	})
}

func TestMessageLimit(t *testing.T) {
	bubble(t, durableobject.Options{MaxMessageBytes: 1000}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.send(`{"i":"1","p":{"u":"/call","b":{"json":"` + strings.Repeat("x", 1000) + `"}}}`)
		require.Equal(t, 1009, int((<-c.closed).Code))
	})
}
