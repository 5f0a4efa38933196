package service

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// open opens a socket with a token for an input of onMessage.
func (h *host) open(path, id string, in subscribeInput) *socket {
	h.t.Helper()
	tok, err := onMessage.Procedure().Call(h.t.Context(), h.link(), &in)
	require.NoError(h.t, err)
	query := url.Values{"id": {id}, "token": {tok}}
	ws, _, err := websocket.Dial(h.t.Context(), h.URL()+path+"?"+query.Encode(), &websocket.DialOptions{HTTPClient: h.Client()})
	require.NoError(h.t, err)
	s := newSocket(h.t, ws)
	s.name = id
	return s
}

// says sends a text message.
func (s *socket) says(text string) {
	s.t.Helper()
	s.send(frame{data: []byte(text)})
}

// call calls a method under the request id "c".
func (s *socket) call(path, input string) {
	s.t.Helper()
	path = `"` + strings.ReplaceAll(path, ".", `","`) + `"`
	s.says(`{"i":"c","p":{"u":"/call","b":{"json":{"path":[` + path + `],"input":` + input + `}}}}`)
}

func (s *socket) subscribe() {
	s.t.Helper()
	s.says(`{"i":"s","p":{"u":"/subscribe","b":{}}}`)
	s.sees(`{"i":"s","p":{"h":{"content-type":"text/event-stream"}}}`)
}

// sees reads a frame and compares it, except for its event id.
func (s *socket) sees(want string) {
	s.t.Helper()
	got, err := s.next()
	require.NoError(s.t, err, "%s: want %s", s.name, want)
	have := decode(got.data)
	if meta := at(have, "p", "m"); meta != nil && ourID.MatchString(fmt.Sprint(meta["id"])) {
		meta["id"] = "…"
	}
	require.Equal(s.t, decode([]byte(want)), have, s.name)
}

func message(text string) string {
	return `{"i":"s","t":3,"p":{"e":"message","d":{"json":{"message":"` + text + `"}},"m":{"id":"…"}}}`
}

func inBubble(t *testing.T, test func(t *testing.T, h *host)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		defer h.close()
		test(t, h)
	})
}

func TestWelcome(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *host) {
		other := h.open("/chat-room", "other", subscribeInput{})
		other.subscribe()
		s := h.open("/chat-room", "a", subscribeInput{Att: attachment{Welcome: true}})
		s.subscribe()
		s.sees(message("welcome"))
		synctest.Wait()
		other.hasNothing()
	})
}

func TestPublishWithinTheRoom(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *host) {
		admin := h.open("/chat-room", "admin", subscribeInput{Att: attachment{Role: "admin"}, Tags: []string{"t"}})
		member := h.open("/chat-room", "member", subscribeInput{Tags: []string{"t"}})
		stranger := h.open("/chat-room", "stranger", subscribeInput{Room: "elsewhere", Att: attachment{Role: "admin"}, Tags: []string{"t"}})
		for _, s := range []*socket{admin, member, stranger} {
			s.subscribe()
		}
		publish := func(input string, seenBy ...*socket) {
			member.call("toolbox.publish", input)
			synctest.Wait()
			for _, s := range seenBy {
				s.sees(message("m"))
			}
			member.sees(`{"i":"c","p":{"b":{}}}`)
			for _, s := range []*socket{admin, member, stranger} {
				s.hasNothing()
			}
		}
		publish(`{"message":"m"}`, admin, member)
		publish(`{"message":"m","role":"admin"}`, admin)
		publish(`{"message":"m","tags":["t"],"excludeIds":["member"]}`, admin)
		publish(`{"message":"m","targetIds":["member"]}`, member)
		publish(`{"message":"m","tags":[]}`)

		member.call("toolbox.publish", `{"message":"m","data":null,"meta":{"id":"not mine","retry":20,"comments":["c"]}}`)
		for _, s := range []*socket{admin, member} {
			s.sees(`{"i":"s","t":3,"p":{"e":"message","d":{"json":{"message":"m","data":null}},"m":{"id":"…","retry":20,"comments":["c"]}}}`)
		}
	})
}

func TestPlainRooms(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		plain := h.open("/plain-room", "a", subscribeInput{})
		chat := h.open("/chat-room", "a", subscribeInput{})
		plain.subscribe()
		chat.subscribe()
		text := "hello"
		_, err := sendPlainMessage.Call(t.Context(), h.link(), publishInput{Message: &text, Meta: &eventMeta{ID: "mine"}})
		require.NoError(t, err)
		plain.sees(`{"i":"s","t":3,"p":{"e":"message","d":{"json":{"message":"hello"}},"m":{"id":"mine"}}}`)
		synctest.Wait()
		chat.hasNothing()
	})
}

func TestWhoami(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		now := time.Now().Unix()
		s := h.open("/chat-room", "a", subscribeInput{
			Room: "r", Tags: []string{"t"}, Att: map[string]int{"k": 1}, RPC: []string{"toolbox"}, TTL: 1.5,
		})
		s.call("toolbox.whoami", "null")
		s.sees(fmt.Sprintf(`{"i":"c","p":{"b":{"json":{"id":"a","chn":"r","tags":["t"],"att":{"k":1},"rpc":["toolbox"],"iat":%d,"exp":%d.5}}}}`, now, now+1))
		time.Sleep(2 * time.Second)
		closed, err := s.next()
		require.NoError(t, err)
		require.Equal(t, frame{kind: frameClose, code: 1008, reason: "Token expired"}, closed.frame)
	})
}

// A socket that is opened during a shutdown is closed with the code that asks it to
// reconnect, like the others.
func TestShutdownDuringUpgrade(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		tok, err := onMessage.Procedure().Call(t.Context(), h.link(), nil)
		require.NoError(t, err)
		transport, ok := h.Client().Transport.(*http.Transport)
		require.True(t, ok)
		conn, err := transport.DialContext(t.Context(), "tcp", "")
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "GET /chat-room?%s HTTP/1.1\r\nHost: memory\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
			url.Values{"id": {"a"}, "token": {tok}}.Encode())
		require.NoError(t, err)
		synctest.Wait() // the answer waits to be read

		var down sync.WaitGroup
		down.Go(func() { require.NoError(t, h.server.shutdown(context.Background())) })
		synctest.Wait()
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(answer), "101 Switching Protocols")
		require.Contains(t, string(answer), "Service restart")
		down.Wait()
	})
}

// Calls that are aborted are counted, for each room.
func TestSlow(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *host) {
		s := h.open("/chat-room", "a", subscribeInput{})
		leaver := h.open("/chat-room", "b", subscribeInput{})
		elsewhere := h.open("/chat-room", "c", subscribeInput{Room: "elsewhere"})
		start := time.Now()
		s.call("toolbox.slow", `{"ms":20,"key":"k"}`)
		s.sees(`{"i":"c","p":{"b":{"json":"done"}}}`)
		require.Equal(s.t, 20*time.Millisecond, time.Since(start))

		s.call("toolbox.slow", `{"ms":5000,"key":"k"}`)
		leaver.call("toolbox.slow", `{"ms":5000,"key":"k"}`)
		synctest.Wait()
		s.says(`{"i":"c","t":4}`)
		leaver.drop()
		synctest.Wait()
		s.call("toolbox.aborted", `{"key":"k"}`)
		s.sees(`{"i":"c","p":{"b":{"json":2}}}`)
		s.call("toolbox.aborted", `{"key":"other"}`)
		s.sees(`{"i":"c","p":{"b":{"json":0}}}`)
		elsewhere.call("toolbox.aborted", `{"key":"k"}`)
		elsewhere.sees(`{"i":"c","p":{"b":{"json":0}}}`)
	})
}

func TestFlaky(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *host) {
		s := h.open("/chat-room", "a", subscribeInput{})
		const unavailable = `{"i":"c","p":{"s":503,"b":{"json":{"defined":false,"code":"SERVICE_UNAVAILABLE","status":503,"message":"Service Unavailable"}}}}`
		for _, want := range []string{unavailable, unavailable, `{"i":"c","p":{"b":{"json":3}}}`, `{"i":"c","p":{"b":{"json":4}}}`} {
			s.call("toolbox.flaky", `{"key":"k","failures":2}`)
			s.sees(want)
		}
		s.call("toolbox.flaky", `{"key":"other","failures":0}`)
		s.sees(`{"i":"c","p":{"b":{"json":1}}}`)
	})
}

func TestHiddenClient(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *host) {
		s := h.open("/chat-room", "a", subscribeInput{})
		s.call("hiddenClient", "null")
		s.sees(`{"i":"c","p":{"s":403,"b":{"json":{"defined":false,"code":"FORBIDDEN","status":403,"message":"Method \"hiddenClient\" is not allowed."}}}}`)
		s = h.open("/chat-room", "b", subscribeInput{RPC: []string{"hiddenClient"}})
		s.call("hiddenClient", "null")
		s.sees(`{"i":"c","p":{"b":{}}}`)
	})
}

// Messages up to 4 MiB are accepted.
func TestMessageLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		const head, tail = `{"i":"c","p":{"u":"/call","b":{"json":{"path":["toolbox","echo"],"input":"`, `"}}}}`
		s := h.open("/chat-room", "a", subscribeInput{})
		long := strings.Repeat("x", 4<<20-len(head)-len(tail))
		s.says(head + long + tail)
		s.sees(`{"i":"c","p":{"b":{"json":"` + long + `"}}}`)
		s.says(head + long + "x" + tail)
		closed, err := s.next()
		require.NoError(t, err)
		require.Equal(t, frameClose, closed.kind)
		require.Equal(t, 1009, closed.code)
	})
}
