package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

type frameKind int

const (
	frameText frameKind = iota
	frameBinary
	frameClose
)

const noStatus = int(websocket.StatusNoStatusRcvd)

// frame is a frame that was received or is to be sent.
type frame struct {
	kind   frameKind
	data   []byte
	code   int // of a close frame
	reason string
}

func (f frame) String() string {
	switch f.kind {
	case frameClose:
		return fmt.Sprintf("close %d %q", f.code, f.reason)
	case frameBinary:
		return fmt.Sprintf("binary %q", f.data)
	case frameText:
	}
	return string(f.data)
}

// received is a frame with the time of its arrival.
type received struct {
	frame
	at time.Time
}

// socket is the client's side of a connection, with access to its frames.
type socket struct {
	t      *testing.T
	ws     *websocket.Conn
	frames chan received // closed when the connection has ended

	name          string          // for messages
	id, channel   string          // of the client, of the room
	resume        bool            // the events of the room have ids
	expiry        time.Time       // of the token, as recorded
	subscriptions map[string]bool // request ids, as JSON
	ended         bool            // by the client or the harness
}

func newSocket(t *testing.T, ws *websocket.Conn) *socket {
	t.Helper()
	ws.SetReadLimit(-1)
	s := &socket{t: t, ws: ws, frames: make(chan received, 1024), subscriptions: map[string]bool{}}
	go s.read()
	return s
}

func (s *socket) read() {
	defer close(s.frames)
	for {
		kind, data, err := s.ws.Read(context.Background())
		if err != nil {
			if closing, ok := errors.AsType[websocket.CloseError](err); ok {
				s.frames <- received{frame{kind: frameClose, code: int(closing.Code), reason: closing.Reason}, time.Now()}
			}
			return
		}
		f := frame{data: data}
		if kind == websocket.MessageBinary {
			f.kind = frameBinary
		}
		s.frames <- received{f, time.Now()}
	}
}

// send sends a message, and remembers the id if it is a subscription.
func (s *socket) send(f frame) {
	s.t.Helper()
	kind := websocket.MessageText
	if f.kind == frameBinary {
		kind = websocket.MessageBinary
	}
	var m struct {
		I json.RawMessage `json:"i"`
		P struct {
			U string `json:"u"`
		} `json:"p"`
	}
	if json.Unmarshal(f.data, &m) == nil && m.P.U == "/subscribe" {
		s.subscriptions[string(m.I)] = true
	}
	require.NoError(s.t, s.ws.Write(context.Background(), kind, f.data), "%s: send %s", s.name, f)
}

// patience is how much longer something may take than in the recording.
const patience = 500 * time.Millisecond

// next waits for a frame.
func (s *socket) next() (received, error) {
	select {
	case r, open := <-s.frames:
		if !open {
			return received{}, errors.New("the connection has ended")
		}
		return r, nil
	case <-time.After(patience):
		return received{}, errors.New("no frame has arrived")
	}
}

// hasNothing checks that no frame is left over.
func (s *socket) hasNothing() {
	s.t.Helper()
	select {
	case r, open := <-s.frames:
		require.False(s.t, open, "%s: unexpected frame: %s", s.name, r.frame)
	default:
	}
}

// drop cuts the connection without a close frame.
func (s *socket) drop() {
	s.ended = true
	_ = s.ws.CloseNow() // it may have ended
}

// close sends a close frame and checks that it is answered, which the original
// does not do (W41).
func (s *socket) close(f frame) {
	s.t.Helper()
	s.hasNothing()
	s.ended = true
	_ = s.ws.Close(websocket.StatusCode(f.code), f.reason)
	r, err := s.next()
	require.NoError(s.t, err, "%s: the close frame is not answered", s.name)
	require.Equal(s.t, frame{kind: frameClose, code: f.code, reason: f.reason}, r.frame, s.name)
}

// withHeader sets headers of requests as they are about to go out.
type withHeader struct {
	http.RoundTripper
	list [][2]string
}

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for _, pair := range h.list {
		r.Header.Set(pair[0], pair[1])
	}
	return h.RoundTripper.RoundTrip(r)
}
