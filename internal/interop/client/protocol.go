package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// These procedures of a room call its methods. Iterators call them after they have checked
// their token.
var (
	roomSubscribe   = rpc.DefineEvents[rpc.Void, event, rpc.Void]("subscribe")
	roomCall        = rpc.Define[callInput, any]("call")
	roomUpdateToken = rpc.Define[any, rpc.Void]("updateToken")
)

type callInput struct {
	Path  []string `json:"path"`
	Input any      `json:"input,omitzero"`
}

type tokenInput struct {
	Token string `json:"token"`
}

// protocolChecks returns the checks of requests that an iterator never sends.
func protocolChecks() []check {
	return []check{
		{name: "protocol: methods that the token does not allow", run: func(t *T) {
			ws := t.room().socket(subscribeInput{})
			for _, name := range []string{"hiddenClient", "nothing", "publishEvent", "constructor", "__proto__"} {
				_, err := roomCall.Call(t, ws, callInput{Path: []string{name}})
				t.refused(err, rpc.Error{Code: rpc.CodeForbidden, Status: 403, Message: `Method "` + name + `" is not allowed.`})
			}
			out, err := roomCall.Call(t, ws, callInput{Path: []string{"routerClient", "ping"}})
			t.ok(err)
			t.equal(out, "pong")
		}},
		{name: "protocol: no methods at all", run: func(t *T) {
			ws := t.room().socket(subscribeInput{RPC: []string{}})
			_, err := roomCall.Call(t, ws, callInput{Path: []string{"singleClient"}, Input: textMessage{"m"}})
			t.forbidden(err)
		}},
		{name: "protocol: unknown procedure", run: func(t *T) {
			_, err := rpc.Define[rpc.Void, any]("unsubscribe").Call(t, t.room().socket(subscribeInput{}), rpc.Void{})
			t.refused(err, rpc.Error{Code: rpc.CodeNotFound, Status: 404})
		}},
		{name: "protocol: tokens that are refused change nothing", run: checkRefusedTokens},
		{name: "protocol: upgrades that are refused", run: checkRefusedUpgrades},
	}
}

// socket opens a socket to the room for calls only.
func (r *room) socket(in subscribeInput) *websocket.Link {
	query := url.Values{"id": {newRoom()}, "token": {r.token(in)}}
	ws, err := websocket.Dial(r.t, r.t.chat+"?"+query.Encode(), nil)
	r.t.ok(err)
	r.t.cleanup(func() { _ = ws.Close() }) // the error does not matter
	return ws
}

func checkRefusedTokens(t *T) {
	r := t.room()
	ws := r.socket(subscribeInput{Tags: []string{"a", "b"}})
	events, err := roomSubscribe.Call(t, ws, rpc.Void{})
	t.ok(err)
	t.cleanup(func() { _ = events.Close() }) // always returns nil
	const (
		invalid = "Invalid Token"
		channel = "Updated token must have the same channel with the original token"
		tags    = "Updated token must have the exact same tags with the original token"
	)
	for _, c := range []struct{ token, message string }{
		{"garbage", invalid},
		{r.token(subscribeInput{Tags: []string{"a", "b"}, TTL: -5}), invalid},
		{t.room().token(subscribeInput{Tags: []string{"a", "b"}}), channel},
		{r.token(subscribeInput{Tags: []string{"b", "a"}}), tags},
		{r.token(subscribeInput{Tags: []string{}}), tags},
		{r.token(subscribeInput{}), tags},
	} {
		_, err := roomUpdateToken.Call(t, ws, tokenInput{c.token})
		t.refused(err, rpc.Error{Code: rpc.CodeUnauthorized, Status: 401, Message: c.message})
	}
	_, err = roomUpdateToken.Call(t, ws, map[string]any{})
	t.invalid(err)
	r.publish("m", publishInput{Tags: []string{"b"}})
	for e, err := range events.All() {
		t.ok(err)
		t.equal(e.Message, "m")
		break
	}
}

// checkRefusedUpgrades requests sockets that the server must refuse.
func checkRefusedUpgrades(t *T) {
	hc := t.httpClient()
	good := t.room().token(subscribeInput{})
	dot := strings.LastIndexByte(good, '.') + 1
	for _, c := range []struct {
		name  string
		query url.Values
		plain bool // a request without an upgrade
		want  int
	}{
		{"no upgrade", url.Values{"id": {"a"}, "token": {good}}, true, http.StatusUpgradeRequired},
		{"no id", url.Values{"token": {good}}, false, http.StatusUnauthorized},
		{"no token", url.Values{"id": {"a"}}, false, http.StatusUnauthorized},
		{"garbage", url.Values{"id": {"a"}, "token": {"garbage"}}, false, http.StatusUnauthorized},
		{"no signature", url.Values{"id": {"a"}, "token": {good[:dot]}}, false, http.StatusUnauthorized},
		{"another signature", url.Values{"id": {"a"}, "token": {good[:dot] + strings.Repeat("A", 43)}}, false, http.StatusUnauthorized},
		{"another payload", url.Values{"id": {"a"}, "token": {strings.Replace(good, "room-", "room_", 1)}}, false, http.StatusUnauthorized},
		{"expired", url.Values{"id": {"a"}, "token": {t.room().token(subscribeInput{TTL: -5})}}, false, http.StatusUnauthorized},
	} {
		got, err := t.knock(hc, c.query, c.plain)
		t.ok(err)
		t.assertf(got == c.want, "the status for %s is %d: %d", c.name, c.want, got)
	}
}

// knock requests an upgrade and returns the status of the answer.
func (t *T) knock(hc *http.Client, query url.Values, plain bool) (int, error) {
	address := "http" + strings.TrimPrefix(t.chat, "ws") + "?" + query.Encode()
	r, err := http.NewRequestWithContext(t, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if !plain {
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
		} {
			r.Header.Set(name, value)
		}
	}
	response, err := hc.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
