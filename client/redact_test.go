//go:build !js

package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// exposed are tokens of which no piece may appear anywhere.
var exposed = map[string]string{
	"signed value": `{"chn":"a-channel","att":{"name":"J. \"X\" Döe & Söhne"},"rpc":["m"],"iat":1,"exp":4102444800}.c2lnbmF0dXJlIG9mIDI1NiBiaXQgaW4gYmFzZTY0`,
	"JWT": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaG4iOiJhLWNoYW5uZWwiLCJycGMiOlsibSJdLCJpYXQiOjEsImV4cCI6NDEwMjQ0NDgwMH0." +
		"dGhpcyBpcyBubyBzaWduYXR1cmUgYXQgYWxs",
}

// indiscreet are servers and proxies that repeat parts of the request in their answers.
var indiscreet = map[string]func(h *harness, o *client.Options, tok string){
	"the host is down": func(h *harness, _ *client.Options, _ string) { h.server.SetDown(true) },
	"the body has the address": func(h *harness, _ *client.Options, _ string) {
		h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
			return 404, nil, "Cannot GET " + r.URL.String() + " with " + r.URL.Query().Get("token")
		}
	},
	"a redirect with the address": func(h *harness, _ *client.Options, _ string) {
		h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
			return 307, http.Header{"Location": {"http://elsewhere" + r.URL.String()}}, ""
		}
	},
	"a redirect to a malformed address": func(h *harness, _ *client.Options, tok string) {
		h.answer = func(int, *http.Request) (int, http.Header, string) {
			return 302, http.Header{"Location": {"http://else where:port/" + tok}}, ""
		}
	},
	"headers, and a cookie": func(h *harness, _ *client.Options, tok string) {
		h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
			return 403, http.Header{"X-Request": {r.URL.RawQuery}, "Set-Cookie": {"t=" + tok}, "X-Short": {"a", tok[len(tok)-9:]}}, ""
		}
	},
	"the reason of a close frame": func(h *harness, _ *client.Options, tok string) {
		go func() {
			for range 2 {
				s := h.accept()
				s.close(websocket.StatusPolicyViolation, "no: "+tok[len(tok)-40:])
			}
		}()
	},
	"the answer to the subscription": func(h *harness, _ *client.Options, tok string) {
		go func() {
			s := h.accept()
			f := s.next()
			s.send(`{"i":%s,"p":{"s":403,"b":{"json":{"defined":true,"code":"%s","status":403,"message":%q,"data":{"token":%q}}}}}`,
				f.ID, tok[len(tok)-20:], tok, tok)
		}()
	},
	"a transport": func(_ *harness, o *client.Options, _ string) {
		o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("proxy: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: &net.DNSError{Err: "no such host", Name: r.URL.String()}})
		})}
	},
	"no WebSocket": func(h *harness, _ *client.Options, _ string) {
		h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
			return 200, http.Header{"Sec-Websocket-Accept": {r.URL.RawQuery}}, "<html>" + r.URL.RawQuery
		}
	},
	"the handshake hangs": func(h *harness, _ *client.Options, _ string) { h.answer = hang },
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestErrorsDoNotContainTheToken(t *testing.T) {
	cases := maps.Clone(indiscreet)
	for i := range escapings("") {
		cases[fmt.Sprintf("a body with escaping %d", i)] = func(h *harness, _ *client.Options, tok string) {
			h.answer = func(int, *http.Request) (int, http.Header, string) { return 400, nil, "bad: " + escapings(tok)[i] }
		}
	}
	for i := range encodings("") {
		for _, before := range []string{"", "1", "22"} {
			cases[fmt.Sprintf("headers and a body in encoding %d after %q", i, before)] = func(h *harness, _ *client.Options, tok string) {
				encoded := encodings(before + tok)[i]
				h.answer = func(int, *http.Request) (int, http.Header, string) {
					return 400, http.Header{"X-Request": {encoded}}, "bad: " + encoded
				}
			}
		}
	}
	for kind, tok := range exposed {
		for name, prepare := range cases {
			t.Run(kind+", "+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *harness) {
					o := h.options()
					o.ConnectTimeout = 20 * time.Second
					var mu sync.Mutex
					var seen strings.Builder
					o.OnStateChange = func(_ client.State, err error) {
						mu.Lock()
						defer mu.Unlock()
						seen.WriteString(everything(err))
					}
					var log bytes.Buffer
					o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					prepare(h, o, tok)
					_, err := client.Dial[string](t.Context(), client.StaticToken(tok), o)
					require.Error(t, err)
					synctest.Wait()
					mu.Lock()
					defer mu.Unlock()
					for _, text := range []string{everything(err), seen.String(), log.String()} {
						requireNoPiece(t, tok, text)
					}
					for _, u := range h.tried() {
						require.Equal(t, "memory", u.host)
					}
				})
			})
		}
	}
}

// The type of an error is kept, and so are all parts without a token.
func TestRedactedErrorsAreTheSameErrors(t *testing.T) {
	tok := exposed["signed value"]
	refused := errors.New("connection refused")
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.ConnectTimeout = 10 * time.Second
		o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%w by %s", refused, r.URL)
		})}
		_, err := client.Dial[string](t.Context(), client.StaticToken(tok), o)
		require.ErrorIs(t, err, refused)
		require.ErrorContains(t, err, "connection refused by [redacted]")
	})
	inBubble(t, func(t *testing.T, h *harness) {
		h.answer = func(int, *http.Request) (int, http.Header, string) {
			return 403, http.Header{"Retry-After": {"7"}, "X-Token": {tok}}, "You may not read " + tok + ", sorry."
		}
		_, err := client.Dial[string](t.Context(), client.StaticToken(tok), h.options())
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		require.EqualError(t, err, "client: dial: memory: FORBIDDEN: You may not read [redacted], sorry.")
		answer, dataErr := rpc.ErrorData[rpc.ErrorResponse](err)
		require.NoError(t, dataErr)
		require.Equal(t, "7", answer.Headers.Get("Retry-After"))
		require.Equal(t, "[redacted]", answer.Headers.Get("X-Token"))
	})
}

// The errors of methods are not changed, except that signatures of tokens are removed.
func TestErrorsOfMethodsDoNotContainTheSignature(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		tok := s.query.Get("token")
		answer := func(message string) error {
			failed := make(chan error, 1)
			go func() {
				_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
				failed <- err
			}()
			f := s.next()
			s.send(`{"i":%s,"p":{"s":409,"b":{"json":{"defined":true,"code":"CONFLICT","status":409,"message":%q,"data":{"at":%q}}}}}`,
				f.ID, message, message)
			return <-failed
		}
		err := answer("the rpc group of the channel room")
		require.EqualError(t, err, "CONFLICT: the rpc group of the channel room")
		data, dataErr := rpc.ErrorData[map[string]string](err)
		require.NoError(t, dataErr)
		require.Equal(t, "the rpc group of the channel room", data["at"])

		err = answer("your token is " + tok)
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
		requireNoPiece(t, tok[strings.LastIndexByte(tok, '.')+1:], everything(err))
	})
}

func TestLogsOfARefreshDoNotContainTheToken(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		_, s := h.live(o)
		f, _ := s.expectUpdateToken()
		var tok string
		readMember(t, f.Payload.Body, "token", &tok)
		s.send(`{"i":%s,"p":{"s":400,"b":{"json":{"defined":false,"code":"BAD_REQUEST","status":400,"message":%q}}}}`, f.ID, url.QueryEscape(tok))
		s.closedWith(websocket.StatusNormalClosure)
		synctest.Wait()
		require.Contains(t, log.String(), "token not accepted")
		requireNoPiece(t, tok, log.String())
		requireNoPiece(t, s.query.Get("token"), log.String())
	})
}
