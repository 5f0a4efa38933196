//go:build !js

package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// frame is a message of the client.
type frame struct {
	ID      json.RawMessage `json:"i"`
	Type    int             `json:"t"`
	Payload struct {
		URL    string            `json:"u"`
		Header map[string]string `json:"h"`
		Body   json.RawMessage   `json:"b"`
	} `json:"p"`
	text string
}

// socket is the server's end of a WebSocket.
type socket struct {
	t      *testing.T
	ws     *websocket.Conn
	query  url.Values
	frames chan frame
	mute   atomic.Bool
	ended  chan struct{}
	err    error // of the reader, once ended is closed
	sub    json.RawMessage
}

func (s *socket) read() {
	defer close(s.ended)
	for {
		_, message, err := s.ws.Read(context.Background())
		if err != nil {
			s.err = err
			return
		}
		f := frame{text: string(message)}
		if err := json.Unmarshal(message, &f); err != nil {
			s.t.Errorf("bad frame %s: %v", message, err)
		}
		s.frames <- f
	}
}

// next waits for a message of the client.
func (s *socket) next() frame {
	s.t.Helper()
	select {
	case f := <-s.frames:
		return f
	case <-s.ended:
		require.Fail(s.t, "the socket has ended", "%v", s.err)
	case <-time.After(time.Hour):
		require.Fail(s.t, "no message arrived")
	}
	return frame{}
}

// quiet reports whether the client has sent nothing more.
func (s *socket) quiet() bool {
	synctest.Wait()
	return len(s.frames) == 0
}

// send writes a message.
//
//nolint:goprintffuncname // the usual name for a socket
func (s *socket) send(format string, args ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(s.t, s.ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// expectSubscribe waits for a subscription after an event.
func (s *socket) expectSubscribe(lastEventID string) *socket {
	s.t.Helper()
	f := s.next()
	require.Equal(s.t, "/subscribe", f.Payload.URL, f.text)
	require.Equal(s.t, "1", f.Payload.Header["x-durable-iterator"])
	require.Equal(s.t, lastEventID, f.Payload.Header["last-event-id"])
	s.sub = f.ID
	return s
}

// open answers the subscription like a server of this project.
func (s *socket) open(resume, position string) {
	s.t.Helper()
	header := `"x-durable-iterator-resume":"` + resume + `"`
	if position != "" {
		header += `,"x-durable-iterator-position":"` + position + `"`
	}
	s.send(`{"i":%s,"p":{"h":{"content-type":"text/event-stream",%s}}}`, s.sub, header)
}

// openPlain answers the subscription like a server of oRPC.
func (s *socket) openPlain() {
	s.t.Helper()
	s.send(`{"i":%s,"p":{"h":{"content-type":"text/event-stream"}}}`, s.sub)
}

// event sends an event whose data is its own id, or "-" if it has none.
func (s *socket) event(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		if id == "" {
			s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"-"}}}`, s.sub)
			continue
		}
		s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":%q},"m":{"id":%q}}}`, s.sub, id, id)
	}
}

// position moves the cursor.
func (s *socket) position(id string) {
	s.t.Helper()
	s.send(`{"i":%s,"t":3,"p":{"e":"message","m":{"id":%q}}}`, s.sub, id)
}

// reply answers a request with an encoded output.
func (s *socket) reply(f frame, output string) {
	s.t.Helper()
	s.send(`{"i":%s,"p":{"b":%s}}`, f.ID, output)
}

// fail answers a request with an error.
func (s *socket) fail(f frame, status int, code string) {
	s.t.Helper()
	s.send(`{"i":%s,"p":{"s":%d,"b":{"json":{"defined":false,"code":%q,"status":%d,"message":"m"}}}}`, f.ID, status, code, status)
}

// deaf stops the answers to pings.
func (s *socket) deaf() { s.mute.Store(true) }

// drop ends the connection without a close frame.
func (s *socket) drop() {
	_ = s.ws.CloseNow()
	<-s.ended
}

// close ends the connection with a close frame.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.ws.Close(code, reason)
	<-s.ended
}

// closedWith waits until the socket is closed, and checks the code.
func (s *socket) closedWith(code websocket.StatusCode) {
	s.t.Helper()
	<-s.ended
	require.Equal(s.t, code, websocket.CloseStatus(s.err), "%v", s.err)
}
