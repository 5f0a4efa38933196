package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// replay sends the messages of a recorded client to a server, at the same times, and
// compares the answers.
type replay struct {
	t           *testing.T
	host        *host
	recording   *recording
	differences []*difference
	start       time.Time
	sockets     map[int]*socket // nil: refused, unlike the recorded one
	ids         *eventIDs
}

// replaySession runs in a bubble.
func replaySession(t *testing.T, h *host, r *recording, differences []*difference, start time.Time) {
	t.Helper()
	p := &replay{
		t: t, host: h, recording: r, differences: differences, start: start,
		sockets: map[int]*socket{}, ids: newEventIDs(),
	}
	for n := range r.Entries {
		p.step(n)
	}
	time.Sleep(patience)
	for conn, s := range p.sockets {
		if s != nil {
			p.finish(conn, s)
		}
	}
	for _, d := range differences {
		require.NotEmpty(t, d.Reason, "difference at %v", d.Entries)
		require.True(t, d.used, "a listed difference does not occur at %v: %s", d.Entries, d.Reason)
	}
}

// finish closes a connection, which must have no unexpected frames left.
func (p *replay) finish(conn int, s *socket) {
	p.t.Helper()
	for _, d := range p.differences {
		if d.Left == conn {
			d.used = true
			require.NotEmpty(p.t, *d.Frames, "left on connection %d", conn)
			p.expectFrames(s, fmt.Sprintf("left on connection %d", conn), *d.Frames)
		}
	}
	s.hasNothing()
	s.drop()
	synctest.Wait()
}

// step sends or expects an entry.
func (p *replay) step(n int) {
	p.t.Helper()
	e := &p.recording.Entries[n]
	time.Sleep(time.Until(p.time(n)))
	switch {
	case e.Kind == kindHTTP:
		synctest.Wait()
		p.exchange(n, e)
	case e.Kind == kindUpgrade && !e.RefusedByHarness:
		synctest.Wait()
		p.upgrade(n, e)
	case e.Kind == kindDrop, e.Kind == kindEnd:
		synctest.Wait()
		p.end(e)
	case e.Kind == kindFrame && e.Dir == fromClient:
		p.send(n, e)
	case e.Kind == kindFrame:
		p.expect(n, e)
	}
}

// difference returns the difference that is listed for an entry, or nil.
func (p *replay) difference(n int) *difference {
	p.t.Helper()
	var found *difference
	for _, d := range p.differences {
		if slices.Contains(d.Entries, n) {
			require.Nil(p.t, found, "entry %d has two differences", n)
			found, d.used = d, true
		}
	}
	return found
}

// exchange repeats an exchange over HTTP.
func (p *replay) exchange(n int, e *entry) {
	p.t.Helper()
	d := p.difference(n)
	if d != nil && d.NotSent {
		return
	}
	r, err := http.NewRequest(e.Method, p.host.URL()+e.Path, strings.NewReader(e.RequestBody))
	require.NoError(p.t, err)
	for _, h := range e.RequestHeaders {
		switch strings.ToLower(h[0]) {
		case "host", "connection", "content-length", "transfer-encoding", "accept-encoding":
		default:
			r.Header.Set(h[0], h[1])
		}
	}
	res, err := p.host.Client().Do(r)
	require.NoError(p.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.NoError(p.t, res.Body.Close())

	name := fmt.Sprintf("entry %d: %s %s", n, e.Method, e.Path)
	if d != nil {
		d.matches(p.t, name, e, res.StatusCode, string(body))
		return
	}
	require.Equal(p.t, e.Status, res.StatusCode, "%s: %s", name, body)
	require.Equal(p.t, mediaType(header(e.ResponseHeaders, "content-type")), mediaType(res.Header.Get("Content-Type")), name)
	require.Equal(p.t, header(e.ResponseHeaders, pluginHeader), res.Header.Get(pluginHeader), name)
	if header(e.ResponseHeaders, pluginHeader) == "" {
		require.NoError(p.t, equalBody(e.ResponseBody, string(body)), name)
		return
	}
	p.sameToken(name, text(p.t, e.ResponseBody), text(p.t, string(body)))
}

func mediaType(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType
	}
	return media
}

// sameToken compares tokens up to the moment at which they were made.
func (p *replay) sameToken(name, recorded, got string) {
	p.t.Helper()
	want, err := token.Parse(recorded)
	require.NoError(p.t, err, name)
	have, err := token.Parse(got)
	require.NoError(p.t, err, name)
	require.Equal(p.t, claims(recorded), claims(got), name)
	require.Equal(p.t, want.ExpiresAt.Sub(want.IssuedAt), have.ExpiresAt.Sub(have.IssuedAt), name)
	require.InDelta(p.t, want.IssuedAt.Unix(), have.IssuedAt.Unix(), 1, name)
	_, err = secret.Verify(context.Background(), got)
	if have.Expired(time.Now()) {
		require.ErrorIs(p.t, err, token.ErrExpired, name)
		return
	}
	require.NoError(p.t, err, name)
}

// upgrade opens a socket as recorded.
func (p *replay) upgrade(n int, e *entry) {
	p.t.Helper()
	name := fmt.Sprintf("entry %d: upgrade of connection %d", n, e.Conn)
	var as [][2]string
	for _, h := range e.RequestHeaders {
		switch strings.ToLower(h[0]) {
		case "upgrade", "origin":
			as = append(as, h)
		}
	}
	client := &http.Client{Transport: withHeader{p.host.Client().Transport, as}}
	ws, res, err := websocket.Dial(context.Background(), p.host.URL()+e.Path, &websocket.DialOptions{HTTPClient: client})
	require.NotNil(p.t, res, "%s: %v", name, err)
	var body []byte
	if err != nil {
		body, _ = io.ReadAll(res.Body) // from memory
	}
	if d := p.difference(n); d != nil {
		d.matches(p.t, name, e, res.StatusCode, string(body))
	} else {
		require.Equal(p.t, e.Status, res.StatusCode, "%s: %s", name, body)
		if e.ResponseBody != "" {
			require.Equal(p.t, e.ResponseBody, string(body), name)
		}
	}
	p.sockets[e.Conn] = nil
	if err != nil {
		return
	}
	s := newSocket(p.t, ws)
	s.name = fmt.Sprintf("connection %d", e.Conn)
	s.channel = e.TokenPayload.Channel
	s.expiry = time.UnixMilli(int64(e.TokenPayload.Exp * 1000))
	for _, pair := range e.Query {
		if pair[0] == "id" {
			s.id = pair[1]
		}
	}
	path, _, _ := strings.Cut(e.Path, "?")
	s.resume = p.recording.Rooms[path].ResumeRetentionSeconds > 0
	p.sockets[e.Conn] = s
}

// end ends a connection below the WebSocket protocol.
func (p *replay) end(e *entry) {
	p.t.Helper()
	s := p.sockets[e.Conn]
	if s == nil {
		return
	}
	p.finish(e.Conn, s)
}

// send sends a frame of the client.
func (p *replay) send(n int, e *entry) {
	p.t.Helper()
	s := p.sockets[e.Conn]
	if s == nil {
		return // after a refusal
	}
	f := e.frame(p.t)
	if d := p.difference(n); d != nil {
		require.True(p.t, d.NotSent, "entry %d", n)
		synctest.Wait()
		require.Error(p.t, s.ws.Write(context.Background(), websocket.MessageText, f.data), "entry %d can be sent", n)
		return
	}
	if f.kind != frameClose {
		s.send(p.withLastEventID(s, f))
		synctest.Wait() // requests run concurrently, but the recorded server has handled them one by one
		return
	}
	synctest.Wait()
	if !s.ended { // else it is the answer to the server's, and was sent
		s.close(f)
	}
}

// withLastEventID returns the frame with our id in place of the recorded one.
func (p *replay) withLastEventID(s *socket, f frame) frame {
	p.t.Helper()
	v := decode(f.data)
	if id, ok := at(v, "p", "h")["last-event-id"].(string); ok && f.kind == frameText {
		at(v, "p", "h")["last-event-id"] = p.ids.lastEventID(s, id)
		data, err := json.Marshal(v)
		require.NoError(p.t, err)
		f.data = data
	}
	return f
}

// expect takes the next frame of a connection, and compares it.
func (p *replay) expect(n int, e *entry) {
	p.t.Helper()
	s := p.sockets[e.Conn]
	if s == nil {
		return
	}
	d := p.difference(n)
	switch {
	case d == nil:
		p.expectFrame(s, fmt.Sprintf("entry %d", n), e.frame(p.t), p.time(n))
	case d.AtExpiry:
		require.Greater(p.t, p.time(n).Sub(s.expiry), patience, "entry %d: the listed difference does not exist", n)
		p.expectFrame(s, fmt.Sprintf("entry %d", n), e.frame(p.t), s.expiry)
	case n == d.Entries[0]:
		var recorded []json.RawMessage
		for _, n := range d.Entries {
			require.Equal(p.t, e.Conn, p.recording.Entries[n].Conn, "difference of entry %d: another connection", n)
			recorded = append(recorded, json.RawMessage(strconv.Itoa(n)))
		}
		require.NotEqual(p.t, recorded, *d.Frames, "entry %d: the listed difference does not exist", n)
		p.expectFrames(s, fmt.Sprintf("entry %d", n), *d.Frames)
	}
}

// time returns the time of an entry on our clock.
func (p *replay) time(n int) time.Time {
	return p.start.Add(time.Duration(p.recording.Entries[n].T) * time.Millisecond)
}

// expectFrames reads frames that a difference lists: numbers of entries, or frames.
func (p *replay) expectFrames(s *socket, name string, list []json.RawMessage) {
	p.t.Helper()
	for _, raw := range list {
		want := frame{kind: frameText, data: raw}
		var n int
		if json.Unmarshal(raw, &n) == nil {
			want = p.recording.Entries[n].frame(p.t)
		}
		p.expectFrame(s, name, want, time.Time{})
	}
}

// expectFrame takes a frame, which must have arrived at the given time, unless that is
// zero.
func (p *replay) expectFrame(s *socket, name string, want frame, at time.Time) {
	p.t.Helper()
	name += ", " + s.name
	got, err := s.next()
	require.NoError(p.t, err, "%s: want %s", name, want)
	require.NoError(p.t, p.ids.equal(s, want, got.frame), name)
	if id, ours, ok := s.eventIDs(decode(want.data), decode(got.data)); ok {
		p.ids.learn(s, id, ours)
	}
	if !at.IsZero() {
		require.WithinDuration(p.t, at, got.at, patience, "%s: %s", name, want)
	}
	s.ended = s.ended || got.kind == frameClose
}

// matches checks an answer against the one that a difference lists.
func (d *difference) matches(t *testing.T, name string, e *entry, status int, body string) {
	t.Helper()
	require.NotNil(t, d.Answer, name)
	require.Equal(t, d.Answer.Status, status, "%s: %s", name, body)
	if d.Answer.Body != nil {
		want := string(d.Answer.Body)
		if text, ok := decode(d.Answer.Body).(string); ok {
			want = text
		}
		require.NoError(t, equalBody(want, body), name)
	}
	require.False(t, status == e.Status && equalBody(e.ResponseBody, body) == nil, "%s: the listed difference does not exist", name)
}
