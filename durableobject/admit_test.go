package durableobject_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// verifierFunc is a verifier that calls a function of the test.
type verifierFunc func(ctx context.Context, tok string) (*token.Payload, error)

func (f verifierFunc) Verify(ctx context.Context, tok string) (*token.Payload, error) {
	return f(ctx, tok)
}

// handshake requests an upgrade whose response cannot be hijacked.
func (f *fixture) handshake(query url.Values, header http.Header) *httptest.ResponseRecorder {
	return f.handshakeFor(context.Background(), query, header)
}

func (f *fixture) handshakeFor(ctx context.Context, query url.Values, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/?"+query.Encode(), nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	f.upgrade().ServeHTTP(w, r.WithContext(ctx))
	return w
}

func (c *rawClient) update(tok string) string {
	c.send(`{"i":"u","p":{"u":"/updateToken","b":{"json":{"token":` + quote(tok) + `}}}}`)
	return c.next()
}

// The same rules apply to the token that opens a socket and to tokens that replace it.
func TestAdmission(t *testing.T) {
	t.Parallel()
	wide := "room" + strings.Repeat("x", 9000)
	returns := func(err error) verifierFunc {
		return func(context.Context, string) (*token.Payload, error) { return nil, err }
	}
	refuses := func(err error) *durableobject.HandlerOptions {
		return &durableobject.HandlerOptions{Authorize: func(*http.Request, *payload) error { return err }}
	}
	for name, test := range map[string]struct {
		options durableobject.Options
		up      *durableobject.HandlerOptions
		token   string // that of the room if empty
		status  int
		message string
		logs    string
	}{
		"no token at all":        {token: "garbage", status: 401, message: "Invalid Token"},
		"larger than the limit":  {token: sign(t, wide), status: 401, message: "Invalid Token"},
		"larger than the option": {options: durableobject.Options{MaxTokenBytes: 100}, status: 401, message: "Invalid Token"},
		"refused: malformed":     {options: durableobject.Options{Verifier: returns(token.ErrMalformed)}, status: 401, message: "Invalid Token"},
		"refused: signature":     {options: durableobject.Options{Verifier: returns(errors.Join(errors.New("x"), token.ErrSignature))}, status: 401, message: "Invalid Token"},
		"refused: expired":       {options: durableobject.Options{Verifier: returns(token.ErrExpired)}, status: 401, message: "Invalid Token"},
		"refused: claims":        {options: durableobject.Options{Verifier: returns(token.ErrClaims)}, status: 401, message: "Invalid Token"},
		"verifier takes the old": {options: durableobject.Options{Verifier: verifierFunc(func(context.Context, string) (*token.Payload, error) {
			return &token.Payload{Channel: "room", ExpiresAt: time.Unix(1, 0)}, nil
		})}, status: 401, message: "Invalid Token"},
		"verifier fails":           {options: durableobject.Options{Verifier: returns(errors.New("key service: connection refused"))}, status: 503, message: "Token cannot be verified", logs: "key service"},
		"verifier is too late":     {options: durableobject.Options{Verifier: returns(context.DeadlineExceeded)}, status: 503, message: "Token cannot be verified", logs: "deadline"},
		"verifier returns nothing": {options: durableobject.Options{Verifier: returns(nil)}, status: 503, message: "Token cannot be verified", logs: "no payload"},
		"verifier panics":          {options: durableobject.Options{Verifier: verifierFunc(func(context.Context, string) (*token.Payload, error) { panic("broken") })}, status: 503, message: "Token cannot be verified", logs: "broken"},
		"another namespace's":      {options: durableobject.Options{Channels: func(name string) bool { return strings.HasPrefix(name, "chat/") }}, status: 401, message: "Invalid Token"},
		"channel check panics":     {options: durableobject.Options{Channels: func(string) bool { panic("broken") }}, status: 500, message: "Internal Server Error", logs: "broken"},
		"subject panics":           {options: durableobject.Options{Subject: func(*payload) string { panic("broken") }}, status: 500, message: "Internal Server Error", logs: "broken"},
		"refused without a reason": {up: refuses(errors.New("a secret")), status: 403, message: "Forbidden"},
		"refused with a code":      {up: refuses(rpc.Errorf(rpc.CodeNotFound, "no such room")), status: 404, message: "no such room"},
		"refused with a status":    {up: refuses(&rpc.Error{Code: "TEAPOT", Status: 418, Message: "short and stout"}), status: 418, message: "short and stout"},
		"refused with a redirect":  {up: refuses(&rpc.Error{Code: "MOVED", Status: 302}), status: 500, message: "Internal Server Error", logs: "status 302"},
		"refused with a success":   {up: refuses(&rpc.Error{Code: "FINE", Status: 101}), status: 500, message: "Internal Server Error", logs: "status 101"},
		"refused beyond all":       {up: refuses(&rpc.Error{Code: "MUCH", Status: 600}), status: 500, message: "Internal Server Error", logs: "status 600"},
		"refused with a nil error": {up: refuses((*rpc.Error)(nil)), status: 500, message: "Internal Server Error", logs: "nil *rpc.Error"},
		"authorization panics":     {up: &durableobject.HandlerOptions{Authorize: func(*http.Request, *payload) error { panic("broken") }}, status: 500, message: "Internal Server Error", logs: "broken"},
	} {
		t.Run(name+", at the upgrade", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &logBook{}
				o := test.options
				o.Logger = log.logger()
				f := newFixture(t, o, test.up)
				tok := test.token
				if tok == "" {
					tok = sign(t, "room")
				}
				w := f.handshake(url.Values{"id": {"a"}, "token": {tok}}, nil)
				require.Equal(t, test.status, w.Code)
				require.Equal(t, test.message, w.Body.String())
				log.has(t, test.logs)
				f.end()
			})
		})
		t.Run(name+", for an open socket", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &logBook{}
				o, up := afterFirst(test.options, test.up)
				o.Logger = log.logger()
				f := newFixture(t, o, up)
				c := f.connect("a")
				tok := test.token
				if tok == "" {
					tok = sign(t, "room", withAtt(strings.Repeat("1", 200)))
				}
				answer := c.update(tok)
				require.Contains(t, answer, fmt.Sprintf(`"s":%d`, test.status))
				require.Contains(t, answer, `"message":"`+test.message+`"`)
				log.has(t, test.logs)
				c.subscribe()
				f.publish("the socket lives on")
				c.sees("the socket lives on")
				c.drop()
				f.end()
			})
		})
	}
}

// afterFirst returns options that accept the first token in any case.
func afterFirst(o durableobject.Options, up *durableobject.HandlerOptions) (durableobject.Options, *durableobject.HandlerOptions) {
	var asked [4]atomic.Int64
	first := func(i int) bool { return asked[i].Add(1) == 1 }
	if o.MaxTokenBytes > 0 {
		o.MaxTokenBytes += 150 // what fits the first, and not a second with an attachment
	}
	if verify := o.Verifier; verify != nil {
		o.Verifier = verifierFunc(func(ctx context.Context, tok string) (*token.Payload, error) {
			if first(0) {
				return secret.Verify(ctx, tok)
			}
			return verify.Verify(ctx, tok)
		})
	}
	if channels := o.Channels; channels != nil {
		o.Channels = func(name string) bool { return first(1) || channels(name) }
	}
	if subject := o.Subject; subject != nil {
		o.Subject = func(p *payload) string {
			if first(2) {
				return ""
			}
			return subject(p)
		}
	}
	if up != nil {
		authorize := up.Authorize
		up = &durableobject.HandlerOptions{Authorize: func(r *http.Request, p *payload) error {
			if first(3) {
				return nil
			}
			return authorize(r, p)
		}}
	}
	return o, up
}

// A token that is too large is refused before it is verified.
func TestLargeTokensAreNotVerified(t *testing.T) {
	asked := 0
	o := durableobject.Options{Verifier: verifierFunc(func(ctx context.Context, tok string) (*token.Payload, error) {
		asked++
		return secret.Verify(ctx, tok)
	})}
	bubble(t, o, func(t *testing.T, f *fixture) {
		largest := sign(t, "room", withAtt(`""`))
		largest = sign(t, "room", withAtt(`"`+strings.Repeat("x", 8<<10-len(largest))+`"`))
		require.Len(t, largest, 8<<10)
		c, err := f.dial(url.Values{"id": {"a"}, "token": {largest}})
		require.NoError(t, err)
		require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, c.update(largest))
		require.Equal(t, 2, asked)
		larger := sign(t, "room", withAtt(`"`+strings.Repeat("x", 8<<10)+`"`))
		require.Equal(t, 401, f.handshake(url.Values{"id": {"a"}, "token": {larger}}, nil).Code)
		require.Contains(t, c.update(larger), `"message":"Invalid Token"`)
		require.Equal(t, 2, asked)
		c.drop()
	})
}

// No token is verified and no object is created for a request that cannot open a socket.
func TestNothingIsDoneForABadHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var verified, made int
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[message]) (*room, error) {
			made++
			return &room{o, &roomHooks{}}, nil
		}, &durableobject.Options{Verifier: verifierFunc(func(ctx context.Context, tok string) (*token.Payload, error) {
			verified++
			return secret.Verify(ctx, tok)
		})})
		f := &fixture{t: t, rooms: rooms}
		query := url.Values{"id": {"a"}, "token": {sign(t, "room")}}
		for name, test := range map[string]struct {
			method string
			header http.Header
			status int
			answer http.Header
		}{
			"a POST":               {"POST", nil, 405, http.Header{"Allow": {"GET"}}},
			"no upgrade":           {"GET", http.Header{"Upgrade": nil}, 426, http.Header{"Upgrade": {"websocket"}}},
			"connection is kept":   {"GET", http.Header{"Connection": {"keep-alive"}}, 426, http.Header{"Upgrade": {"websocket"}}},
			"a foreign page":       {"GET", http.Header{"Origin": {"https://evil.example"}}, 403, nil},
			"an origin of nowhere": {"GET", http.Header{"Origin": {"null"}}, 403, nil},
			"an origin that is no": {"GET", http.Header{"Origin": {"://"}}, 403, nil},
		} {
			r := httptest.NewRequest(test.method, "/?"+query.Encode(), nil)
			r.Header = http.Header{
				"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"h2c, WebSocket"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			maps.Copy(r.Header, test.header)
			w := httptest.NewRecorder()
			f.upgrade().ServeHTTP(w, r)
			require.Equal(t, test.status, w.Code, name)
			for header, want := range test.answer {
				require.Equal(t, want, w.Header().Values(header), name)
			}
		}
		require.Zero(t, verified)
		refused := sign(t, "room", withLife(-time.Second))
		require.Equal(t, 401, f.handshake(url.Values{"id": {"a"}, "token": {refused}}, nil).Code)
		require.Equal(t, 1, verified)
		require.Zero(t, made)
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

type sessionKey struct{}

// A socket belongs to one session: it does not accept a token of another user.
func TestAuthorizeSeesTheRequestAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []*http.Request
		f := newFixture(t, durableobject.Options{}, &durableobject.HandlerOptions{Authorize: func(r *http.Request, p *payload) error {
			seen = append(seen, r)
			if user, _ := token.Att[string](p); user != r.Context().Value(sessionKey{}) {
				return errors.New("not the session's token")
			}
			return r.Context().Err()
		}})
		upgrade := f.upgrade()
		f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), sessionKey{}, "ann"))
			defer cancel()
			upgrade.ServeHTTP(w, r.WithContext(ctx))
		}))
		_, err := f.dial(url.Values{"id": {"a"}, "token": {sign(t, "room", withAtt(`"bob"`))}})
		require.ErrorContains(t, err, "403")
		c, err := f.dial(url.Values{"id": {"a"}, "lang": {"en"}, "token": {sign(t, "room", withAtt(`"ann"`))}})
		require.NoError(t, err)
		require.Contains(t, c.update(sign(t, "room", withAtt(`"bob"`))), `"code":"FORBIDDEN"`)
		require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, c.update(sign(t, "room", withAtt(`"ann"`), withLife(time.Hour))))
		require.Len(t, seen, 4)
		first, later := seen[1], seen[3]
		require.Equal(t, first.Header, later.Header)
		require.Equal(t, "id=a&lang=en", later.URL.RawQuery)
		require.Empty(t, later.RequestURI)
		require.Contains(t, first.URL.RawQuery, "token=", "the request itself is left alone")
		for ws := range f.room("room").Websockets() {
			require.JSONEq(t, `"ann"`, string(ws.Token().Att))
		}
		c.drop()
		f.end()
	})
}

// The copy of a request that is kept for Authorize is bounded, and does not contain the token.
func TestRequestIsKeptForAuthorize(t *testing.T) {
	t.Parallel()
	tok := sign(t, "room")
	large := func(n int) string { return strings.Repeat("x", n) }
	for name, test := range map[string]struct {
		token  string // good if empty
		query  url.Values
		header http.Header
		status int
	}{
		"as usual":              {header: http.Header{"Cookie": {large(30_000)}}, status: 501}, // the test's writer has no connection
		"large header":          {header: http.Header{"Cookie": {large(60_000)}}, status: 431},
		"many headers":          {header: http.Header{"Cookie": slices.Repeat([]string{large(100)}, 600)}, status: 431},
		"names of many headers": {header: http.Header{large(100): make([]string, 600)}, status: 431},
		"large query":           {query: url.Values{"x": {large(60_000)}}, status: 431},
		"tokens beside it":      {query: url.Values{"token": {large(60_000), tok}}, status: 431},
		"large subprotocols":    {header: http.Header{"Sec-Websocket-Protocol": {large(60_000)}}, status: 501},
		"a token of that size":  {token: large(60_000), status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := url.Values{"id": {"a"}, "token": {cmp.Or(test.token, tok)}}
			maps.Copy(query, test.query)
			asked := false
			for authorize, up := range map[bool]*durableobject.HandlerOptions{
				false: nil,
				true:  {Authorize: func(*http.Request, *payload) error { asked = true; return nil }},
			} {
				f := newFixture(t, durableobject.Options{}, up)
				want := test.status
				if !authorize && want == 431 {
					want = 501 // nothing is kept
				}
				require.Equal(t, want, f.handshake(query, test.header).Code, "with Authorize: %v", authorize)
				f.end()
			}
			require.Equal(t, test.status == 501, asked)
		})
	}
}

func TestKeptRequestHasNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var later *http.Request
		f := newFixture(t, durableobject.Options{}, &durableobject.HandlerOptions{Authorize: func(r *http.Request, _ *payload) error {
			later = r
			return nil
		}})
		upgrade := f.upgrade()
		f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm() // as a middleware may do
			r.URL.RawQuery += "&%74oken=" + url.QueryEscape(r.FormValue("token")) + "&&lang=%7Ben%7D"
			upgrade.ServeHTTP(w, r)
		}))
		tok := sign(t, "room")
		c, err := f.dial(url.Values{"id": {"a"}, "token": {tok}})
		require.NoError(t, err)
		require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, c.update(sign(t, "room", withLife(time.Hour))))
		require.Equal(t, "id=a&lang=%7Ben%7D", later.URL.RawQuery)
		require.Empty(t, later.Form)
		require.Equal(t, "{en}", later.FormValue("lang"))
		require.Empty(t, later.FormValue("token"))
		c.drop()
		f.end()
	})
}
