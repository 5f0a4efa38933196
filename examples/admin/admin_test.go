package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/token"
)

const adminToken = "the token of the operators"

// site is the server and the browser of an operator.
type site struct {
	*server

	t    *testing.T
	http *memhttp.Server
	jar  *cookiejar.Jar
}

// bubble runs a test on a server in memory, in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, err := newServer(config{Key: "key", Admin: adminToken})
		require.NoError(t, err)
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		s := &site{srv, t, memhttp.NewServer(srv.handler), jar}
		test(t, s)
		require.NoError(t, s.rooms.Shutdown(context.Background()))
		s.http.Close()
	})
}

// ask sends a request like the operator's browser. If form is not nil, it is a POST.
func (s *site) ask(path string, form url.Values, header ...string) (status int, page string) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, s.http.URL()+path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, s.http.URL()+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RequestURI = ""
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	browser := *s.http.Client()
	browser.Jar = s.jar
	res, err := browser.Do(r)
	require.NoError(s.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, string(body)
}

func (s *site) signIn() {
	s.t.Helper()
	status, page := s.ask("/admin/login", url.Values{"token": {adminToken}})
	require.Equal(s.t, http.StatusOK, status)
	require.Contains(s.t, page, "Sign out")
}

// join connects a client to a room.
func (s *site) join(room, name, id string) *client.Iterator[Message] {
	s.t.Helper()
	it, err := s.dial(room, name, id)
	require.NoError(s.t, err)
	synctest.Wait()
	return it
}

func (s *site) dial(room, name, id string) (*client.Iterator[Message], error) {
	tok, err := s.token(context.Background(), room, name)
	require.NoError(s.t, err)
	return client.Dial[Message](context.Background(), client.StaticToken(tok), &client.Options{
		URL: s.http.URL() + "/room", HTTPClient: s.http.Client(), CreateID: func(*token.Payload) string { return id },
	})
}

func TestPageShowsWhoIsThere(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		_, page := s.ask("/admin/", nil)
		require.Contains(t, page, "None is in memory.")
		ann, bob := s.join("lobby", "Ann", "ann-1"), s.join("lobby", "Bob", "bob-1")
		_, err := Say.Call(t.Context(), ann, Message{"Ann", "hello"})
		require.NoError(t, err)
		_, err = Say.Call(t.Context(), ann, Message{From: "Ann"})
		require.Error(t, err)
		time.Sleep(90 * time.Second)
		status, page := s.ask("/admin/?channel=lobby", nil)
		require.Equal(t, http.StatusOK, status)
		for _, want := range []string{"<b>Ann</b>", "bob-1", "1m 30s", `class="tag live">OK`, "BAD_REQUEST", `content="5; url=/admin/?channel=lobby"`} {
			require.Contains(t, page, want)
		}
		require.NoError(t, ann.Close())
		require.NoError(t, bob.Close())
		synctest.Wait()
		_, page = s.ask("/admin/", nil)
		require.Contains(t, page, "closed by the client")
		require.Contains(t, page, "Nobody is here.")
	})
}

// A client that reads nothing is shown with its lag, above the others.
func TestPageShowsWhoIsBehind(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		ann := s.join("lobby", "Ann", "ann-1")
		s.stall("lobby", "Sloth")
		synctest.Wait()
		for range 30 {
			_, err := Say.Call(t.Context(), ann, Message{"Ann", strings.Repeat("x", 1000)})
			require.NoError(t, err)
		}
		_, page := s.ask("/admin/", nil)
		require.Contains(t, page, `<td class="n">30`)
		require.Contains(t, page, "32.")
		require.Contains(t, page, `value="100"></meter>`)
		require.Less(t, strings.Index(page, "<b>Sloth</b>"), strings.Index(page, "<b>Ann</b>"))
		require.NoError(t, ann.Close())
	})
}

// stall subscribes a client that reads nothing.
func (s *site) stall(room, name string) {
	s.t.Helper()
	tok, err := s.token(context.Background(), room, name)
	require.NoError(s.t, err)
	query := url.Values{"id": {"stalled"}, "token": {tok}}
	ws, _, err := websocket.Dial(context.Background(), s.http.URL()+"/room?"+query.Encode(),
		&websocket.DialOptions{HTTPClient: s.http.Client()})
	require.NoError(s.t, err)
	require.NoError(s.t, ws.Write(context.Background(), websocket.MessageText, []byte(`{"i":"1","p":{"u":"/subscribe","b":{}}}`)))
}

// A client that has just left is shown as away for the grace period, and can be
// disconnected.
func TestPageShowsWhoIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		ann, bob := s.join("lobby", "Ann", "ann-1"), s.join("lobby", "Bob", "bob-1")
		require.NoError(t, bob.Close())
		synctest.Wait()
		_, page := s.ask("/admin/", nil)
		require.Contains(t, page, `<span class="tag away">away`)
		require.Contains(t, page, "<b>Bob</b>")
		time.Sleep(time.Minute)
		_, page = s.ask("/admin/", nil)
		require.NotContains(t, page, "away")
		require.NotContains(t, page, "Bob")
		require.NoError(t, ann.Close())
	})
}

// Names that clients choose are escaped in the page.
func TestNamesAreText(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		evil := `"><script>alert(1)</script>`
		it := s.join(evil, evil, evil)
		_, page := s.ask("/admin/", nil)
		require.NotContains(t, page, "<script")
		require.Contains(t, page, "&lt;script&gt;")
		_, page = s.ask("/admin/?"+url.Values{"channel": {evil}, "note": {evil}}.Encode(), nil)
		require.NotContains(t, page, "<script")
		require.NoError(t, it.Close())
	})
}

func TestKick(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		ann, bob := s.join("lobby", "Ann", "1"), s.join("lobby", "Bob", "2")
		elsewhere := s.join("kitchen", "Ann", "1")
		status, page := s.ask("/admin/kick", url.Values{"channel": {"lobby"}, "subject": {"Ann"}, "id": {"1"}})
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, page, "Ann was sent away (1 closed)")
		for _, err := range ann.All() {
			require.ErrorIs(t, err, client.ErrEnded)
		}
		again := s.join("lobby", "Ann", "1") // its token is still valid
		require.Equal(t, 2, s.rooms.Channels()[1].Websockets)
		require.EqualValues(t, 1, s.rooms.Stats().Closes[statusRemoved])
		for _, it := range []*client.Iterator[Message]{bob, elsewhere, again} {
			require.NoError(t, it.Close())
		}
	})
}

// The buttons work for a name that is as long as a token allows.
func TestLongNames(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		name := strings.Repeat("ž", 2500) // 15,000 bytes in a form
		id := strings.Repeat("ž", 128)
		form := url.Values{"channel": {"lobby"}, "subject": {name}, "id": {id}}
		it := s.join("lobby", name, id)
		status, page := s.ask("/admin/kick", form)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, page, "was sent away (1 closed)")
		for _, err := range it.All() {
			require.ErrorIs(t, err, client.ErrEnded)
		}
		_, page = s.ask("/admin/revoke", form)
		require.Contains(t, page, "tokens are revoked")
		_, err := s.dial("lobby", name, id)
		require.Error(t, err)
	})
}

func TestRevoke(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		old, err := s.token(t.Context(), "lobby", "Ann")
		require.NoError(t, err)
		ann, bob := s.join("lobby", "Ann", "1"), s.join("lobby", "Bob", "2")
		_, page := s.ask("/admin/revoke", url.Values{"channel": {"lobby"}, "subject": {"Ann"}})
		require.Contains(t, page, "tokens are revoked (1 closed)")
		for _, err := range ann.All() {
			require.ErrorIs(t, err, client.ErrEnded)
		}
		_, err = client.Dial[Message](t.Context(), client.StaticToken(old), &client.Options{
			URL: s.http.URL() + "/room", HTTPClient: s.http.Client(),
		})
		require.Error(t, err, "the old token")
		time.Sleep(2 * time.Second)
		require.NoError(t, s.join("lobby", "Ann", "1").Close(), "a new one")
		require.NoError(t, bob.Close())
	})
}

// deaf is a house with a node that does not answer.
type deaf struct{ house }

func (d deaf) Disconnect(ctx context.Context, w durableobject.Who, code int, reason string) (int, error) {
	n, err := d.house.Disconnect(ctx, w, code, reason)
	return n, errors.Join(err, durableobject.ErrSilent)
}

// A node that does not answer does not keep tokens from being revoked.
func TestRevokeWhereANodeIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		old, err := s.token(t.Context(), "lobby", "Ann")
		require.NoError(t, err)
		p := &panel{house: deaf{s.rooms}, tokenLife: time.Hour}
		form := url.Values{"channel": {"lobby"}, "subject": {"Ann"}}
		r := httptest.NewRequest(http.MethodPost, "/admin/revoke", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		p.revoke(w, r)
		require.Equal(t, http.StatusBadGateway, w.Code)
		require.Contains(t, w.Body.String(), "did not answer")
		_, err = client.Dial[Message](t.Context(), client.StaticToken(old), &client.Options{
			URL: s.http.URL() + "/room", HTTPClient: s.http.Client(),
		})
		require.ErrorContains(t, err, "Token revoked")
	})
}

// A form without a name must not become one for everybody.
func TestFormsMustNameSomebody(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		ann := s.join("lobby", "Ann", "1")
		for name, test := range map[string]struct {
			path string
			form url.Values
		}{
			"kick nobody":           {"/admin/kick", url.Values{}},
			"kick a room":           {"/admin/kick", url.Values{"channel": {"lobby"}}},
			"kick without a room":   {"/admin/kick", url.Values{"id": {"1"}}},
			"kick without a name":   {"/admin/kick", url.Values{"channel": {"lobby"}, "subject": {""}, "id": {"1"}}},
			"revoke nobody":         {"/admin/revoke", url.Values{}},
			"revoke a room":         {"/admin/revoke", url.Values{"channel": {"lobby"}}},
			"revoke without a room": {"/admin/revoke", url.Values{"subject": {"Ann"}}},
			"kick by the query":     {"/admin/kick?channel=lobby&subject=Ann&id=1", url.Values{}},
			"a form without end":    {"/admin/kick", url.Values{"channel": {strings.Repeat("x", 1<<20)}, "id": {"1"}}},
		} {
			status, _ := s.ask(test.path, test.form)
			require.Equal(t, http.StatusBadRequest, status, name)
		}
		time.Sleep(time.Second) // in which the server closes the last connection
		require.Equal(t, 1, s.rooms.Stats().Websockets)
		require.NoError(t, ann.Close())
	})
}

// Tables have a bounded number of rows, whatever clients do.
func TestTablesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		s.signIn()
		for i := range maxRows + 7 {
			room, err := s.rooms.Get(t.Context(), fmt.Sprint("room ", i))
			require.NoError(t, err)
			require.NoError(t, room.PublishEvent(t.Context(), Message{"a", "b"}))
		}
		var all []*client.Iterator[Message]
		for i := range maxRows + 3 {
			all = append(all, s.join("full", "Ann", fmt.Sprint(i)))
		}
		_, page := s.ask("/admin/", nil)
		require.Equal(t, maxRows+maxRows, strings.Count(page, `<td class="name">`))
		require.Contains(t, page, "and 8 more with fewer sockets")
		require.Contains(t, page, "and 3 more with less lag")
		for _, it := range all {
			require.NoError(t, it.Close())
		}
	})
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0":                   number(0),
		"999":                 number(uint64(999)),
		"1\u2009234\u2009567": number(1234567),
		"512\u00a0B":          bytes(512),
		"1.5\u00a0kB":         bytes(int64(1500)),
		"3\u00a0MB":           bytes(uint64(3e6)),
		"0s":                  ago(-time.Second),
		"59s":                 ago(59 * time.Second),
		"2m 05s":              ago(125 * time.Second),
		"26h 01m":             ago(26*time.Hour + time.Minute),
		"3 days":              ago(75 * time.Hour),
	} {
		require.Equal(t, want, got)
	}
}

// The demo sends messages until it is stopped.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, config{Addr: "127.0.0.1:0", Key: "key", Demo: true}, in) }()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	tok := strings.TrimPrefix(lines.Text(), "admin token: ")
	require.True(t, lines.Scan())
	page := lines.Text()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	people := 0
	for _, names := range demoRooms {
		people += len(names)
	}
	for body := ""; !strings.Contains(body, fmt.Sprintf("%d subscribed", people)); {
		res, err := browser.PostForm(page+"login", url.Values{"token": {tok}})
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		body = string(text)
	}
	browser.CloseIdleConnections()
	stop()
	require.NoError(t, <-done)
}

var _ house = (*durableobject.Namespace[*Room])(nil)
