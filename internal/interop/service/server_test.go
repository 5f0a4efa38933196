package service

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
	"github.com/go-orpc/durable-iterator/token"
)

// link returns a link to the procedures.
func (h *host) link() *rpc.Link {
	return rpc.NewLink(h.URL()+"/rpc", &rpc.LinkOptions{HTTPClient: h.Client()})
}

// outside returns a host for a test outside of a bubble.
func outside(t *testing.T) *host {
	t.Helper()
	t.Parallel()
	h := newHost(t)
	t.Cleanup(h.close)
	return h
}

func TestEcho(t *testing.T) {
	link := outside(t).link()
	everything := rpc.Define[any, any]("echo")
	at := time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for _, in := range []any{
		nil, value.Undefined{}, "text", at, big.NewInt(7),
		[]any{value.Undefined{}, at, map[string]any{"deep": []any{big.NewInt(1)}}},
		value.Set{"a", at}, value.Map{{Key: "k", Value: value.Set{big.NewInt(2)}}}, value.RegExp{Source: "a", Flags: "gi"},
	} {
		out, err := everything.Call(t.Context(), link, in)
		require.NoError(t, err)
		require.Equal(t, in, out)
	}
}

func TestSmallProcedures(t *testing.T) {
	link := outside(t).link()
	pong, err := ping.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	require.Equal(t, "pong", pong)

	byGet := rpc.Define[int, map[string]int]("readable", rpc.WithMethod(http.MethodGet))
	out, err := byGet.Call(t.Context(), link, 3)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"got": 3}, out)

	last, err := lastEventID.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	require.Nil(t, last)
	last, err = lastEventID.Call(t.Context(), link, rpc.Void{}, rpc.WithLastEventID("7"))
	require.NoError(t, err)
	require.Equal(t, "7", *last)

	_, err = rpc.Define[rpc.Void, rpc.Void]("unknown").Call(t.Context(), link, rpc.Void{})
	require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
}

func TestErrors(t *testing.T) {
	link := outside(t).link()
	tests := map[string]struct {
		code    rpc.Code
		status  int
		message string
		defined bool
		data    any
	}{
		"defined": {"TEAPOT", 418, "I am a teapot", true, map[string]any{"kind": "green"}},
		"orpc": {rpc.CodeConflict, 409, "already there", false, map[string]any{
			"id": big.NewInt(7), "at": time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC),
		}},
		"custom": {"MY_OWN_CODE", 460, "own", false, []any{1.0, 2.0}},
		"plain":  {rpc.CodeInternalServerError, 500, "Internal server error", false, nil},
	}
	for kind, test := range tests {
		t.Run(kind, func(t *testing.T) {
			_, err := fail.Call(t.Context(), link, failInput{Kind: kind})
			var e *rpc.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, rpc.Error{Code: test.code, Status: test.status, Message: test.message, Defined: test.defined},
				rpc.Error{Code: e.Code, Status: e.Status, Message: e.Message, Defined: e.Defined})
			if test.data == nil {
				require.Nil(t, e.Data)
				return
			}
			data, err := rpc.ErrorData[any](e)
			require.NoError(t, err)
			require.Equal(t, test.data, data)
		})
	}
}

func TestSubscriptionTokens(t *testing.T) {
	link := outside(t).link()
	allMethods := []string{"singleClient", "routerClient", "toolbox"}
	tests := map[string]struct {
		call durableiterator.Contract[map[string]any, event]
		in   map[string]any
		want token.Payload
		life time.Duration
	}{
		"defaults":       {in: map[string]any{}, want: token.Payload{Channel: "some-room", RPC: allMethods}},
		"everything":     {in: map[string]any{"room": "r", "tags": []string{"a"}, "att": map[string]any{"k": 1}, "rpc": []string{"x"}, "ttl": 60}, want: token.Payload{Channel: "r", Tags: []string{"a"}, Att: json.RawMessage(`{"k":1}`), RPC: []string{"x"}}, life: time.Minute},
		"no tags at all": {in: map[string]any{"tags": []string{}, "rpc": []string{}}, want: token.Payload{Channel: "some-room", Tags: []string{}, RPC: []string{}}},
		"part of a life": {in: map[string]any{"ttl": 1.5}, want: token.Payload{Channel: "some-room", RPC: allMethods}, life: 1500 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"onMessage", "onPlainMessage"} {
				tok, err := durableiterator.Define[map[string]any, event](path).Procedure().Call(t.Context(), link, test.in)
				require.NoError(t, err)
				p, err := token.Parse(tok)
				require.NoError(t, err)
				life := 24 * time.Hour
				if test.life != 0 {
					life = test.life
				}
				require.Equal(t, life, p.ExpiresAt.Sub(p.IssuedAt))
				require.Equal(t, test.want, token.Payload{Channel: p.Channel, Tags: p.Tags, Att: p.Att, RPC: p.RPC})
			}
		})
	}

	tok, err := onSeedMessage.Procedure().Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	p, err := token.Parse(tok)
	require.NoError(t, err)
	require.Equal(t, token.Payload{Channel: "some-room", Tags: []string{"tag1", "tag2"}},
		token.Payload{Channel: p.Channel, Tags: p.Tags, Att: p.Att, RPC: p.RPC})
}

func TestBadPublications(t *testing.T) {
	link := outside(t).link()
	for _, path := range []string{"sendMessage", "sendPlainMessage"} {
		send := rpc.Define[map[string]any, rpc.Void](path)
		for name, in := range map[string]map[string]any{"missing": {}, "no text": {"message": 1}, "null": {"message": nil}} {
			_, err := send.Call(t.Context(), link, in)
			var e *rpc.Error
			require.ErrorAs(t, err, &e, name)
			require.Equal(t, rpc.CodeBadRequest, e.Code, name)
			require.Equal(t, "Input validation failed", e.Message, name)
			invalid, err := rpc.ErrorData[rpc.ValidationIssues](err)
			require.NoError(t, err, name)
			require.NotEmpty(t, invalid.Issues, name)
		}
		for name, meta := range map[string]map[string]any{
			"line break in the id":     {"id": "a\nb"},
			"line break in a comment":  {"comments": []string{"a\rb"}},
			"negative retry":           {"retry": -1},
			"part of a millisecond":    {"retry": 0.5},
			"more than can be counted": {"retry": 1e300},
		} {
			_, err := send.Call(t.Context(), link, map[string]any{"message": "m", "meta": meta})
			var e *rpc.Error
			require.ErrorAs(t, err, &e, name)
			require.GreaterOrEqual(t, e.Status, 400, name)
		}
	}
}

func TestProceduresOverOneSocket(t *testing.T) {
	h := outside(t)
	link, err := websocket.Dial(t.Context(), h.URL()+"/rpc-ws", &websocket.LinkOptions{HTTPClient: h.Client()})
	require.NoError(t, err)
	pong, err := ping.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	require.Equal(t, "pong", pong)
	require.NoError(t, link.Close())
}

// Bodies up to 4 MiB are accepted.
func TestBodyLimit(t *testing.T) {
	h := outside(t)
	for _, test := range []struct{ size, status int }{{4 << 20, 200}, {4<<20 + 1, 413}} {
		frame := `{"json":""}`
		body := strings.Replace(frame, `""`, `"`+strings.Repeat("x", test.size-len(frame))+`"`, 1)
		res, err := h.Client().Post(h.URL()+"/rpc/echo", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		var got bytes.Buffer
		_, err = got.ReadFrom(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, test.status, res.StatusCode)
		require.Equal(t, test.status == 200, got.String() == body)
	}
}
