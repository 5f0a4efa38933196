//go:build e2e

package main

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// link is a connection between pages and a server that can fail.
type link struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // guards the fields below
	fault fault
	conns []net.Conn
}

type fault int

const (
	healthy fault = iota
	// stalled drops all bytes silently, like a router that has forgotten a connection. The
	// connection stays dead when the link is healthy again.
	stalled
	// deaf closes a connection when the server answers, and then is healthy.
	deaf
)

func newLink(t *testing.T, s *server) *link {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, to: s.config.Addr}
	var accepting sync.WaitGroup
	accepting.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
		l.closeAll()
	})
	return l
}

func (l *link) url() string { return "http://" + l.listener.Addr().String() }

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, client, server)
		l.mu.Unlock()
		go l.carry(client, server, false)
		go l.carry(server, client, true)
	}
}

// carry forwards the bytes from one side to the other.
func (l *link) carry(from, to net.Conn, answers bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		switch l.strikes(answers && n > 0) {
		case stalled:
			_, _ = io.Copy(io.Discard, from)
			return
		case deaf:
			n, err = 0, net.ErrClosed
		case healthy:
		}
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}

// strikes returns the fault for some bytes.
func (l *link) strikes(answer bool) fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != deaf {
		return l.fault
	}
	if !answer {
		return healthy
	}
	l.fault = healthy
	return deaf
}

func (l *link) set(f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

func (l *link) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// A visible page notices within 40 s that its connection is dead.
func TestDeadLink(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	l := newLink(t, s)
	p := browser.Open(t, l.url()+"/?name=ann")
	p.Until(isLive)
	bob := s.chat("bob")
	l.set(stalled)
	write(bob, "can you hear me?")
	require.Less(t, p.Until("!("+isLive+")").Milliseconds(), int64(40_000+slack))
	l.set(healthy)
	p.Until(isLive)
	p.Until(said + ".join() === 'can you hear me?'")
	require.Zero(t, chromium.Eval[int](p, gaps))
}

// A hidden page notices it as soon as it is shown.
func TestDeadLinkOfAHiddenPage(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	l := newLink(t, s)
	p := browser.Open(t, l.url()+"/?name=ann")
	p.Until(isLive)
	p.OpenTab("about:blank")
	p.Until("document.visibilityState === 'hidden'")
	bob := s.chat("bob")
	l.set(stalled)
	write(bob, "can you hear me?")
	require.True(t, chromium.Eval[bool](p, isLive))
	p.Show()
	p.Until("document.visibilityState === 'visible'")
	require.Less(t, p.Until("!("+isLive+")").Milliseconds(), int64(5_000+slack)) // the time that a server has for its answer
	l.set(healthy)
	p.Until(said + ".join() === 'can you hear me?'")
}

// The badge shows at once that the network is not reachable, and the page is complete when
// it is back.
func TestOffline(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	ann, bob := s.chat("ann"), s.chat("bob")
	lab := s.lab()
	lab.Run("window.eve = listen()")
	lab.Until("eve.state === 'live'")
	offline := func(is bool) {
		for _, p := range []*chromium.Page{ann, lab} {
			p.Do("Network.emulateNetworkConditions", map[string]any{
				"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
			})
		}
	}
	offline(true)
	require.Less(t, lab.Until("eve.state === 'waiting'").Milliseconds(), int64(slack))
	require.Less(t, ann.Until("document.getElementById('state-text').textContent === 'Offline'").Milliseconds(), int64(slack))
	write(bob, "one")
	ann.Run("document.getElementById('text').value = 'two'; document.getElementById('composer').requestSubmit()")
	ann.Until("document.querySelectorAll('#waiting .message').length === 1")
	offline(false)
	require.Less(t, ann.Until(isLive).Milliseconds(), int64(5_000+slack))
	requireSame(t, 2, ann, bob)
	require.Equal(t, []string{"one", "two"}, chromium.Eval[[]string](bob, said))
	lab.Until("eve.texts.join() === 'one,two'")
}

// A page that was put away leaves the list within a second after the grace period, and is
// complete when it is back.
func TestPutAway(t *testing.T) {
	t.Parallel()
	isAlone := "document.querySelectorAll('#people-list li').length === 1"
	for name, test := range map[string]struct {
		away, back func(p *chromium.Page, url string)
		leaves     bool
	}{
		"hidden": {
			func(p *chromium.Page, _ string) {
				p.OpenTab("about:blank")
				p.Until("document.visibilityState === 'hidden'")
			},
			func(p *chromium.Page, _ string) { p.Show() },
			false,
		},
		"frozen": {
			func(p *chromium.Page, _ string) { p.Do("Page.setWebLifecycleState", map[string]any{"state": "frozen"}) },
			func(p *chromium.Page, _ string) { p.Do("Page.setWebLifecycleState", map[string]any{"state": "active"}) },
			true,
		},
		"in the history": {toElsewhere, backInHistory, true},
		// Firefox and Safari have no freeze, and keep the page if it has left at pagehide.
		"in the history of a browser without freeze": {
			func(p *chromium.Page, url string) {
				p.Run("addEventListener('freeze', event => event.stopImmediatePropagation(), true)")
				toElsewhere(p, url)
			},
			backInHistory, true,
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, config{})
			ann, bob := s.chat("ann"), s.chat("bob")
			bob.Until("!(" + isAlone + ")")
			write(bob, "one")
			test.away(ann, s.url)
			if test.leaves {
				require.Less(t, bob.Until(isAlone), grace+time.Second+slack*time.Millisecond)
			}
			write(bob, "two")
			pause(t, time.Second)
			write(bob, "three")
			test.back(ann, s.url)
			require.Less(t, ann.Until(isLive).Milliseconds(), int64(5_000+slack))
			requireSame(t, 3, ann, bob)
			bob.Until("!(" + isAlone + ")")
		})
	}
}

func toElsewhere(p *chromium.Page, url string) {
	p.Run("addEventListener('pageshow', ({ persisted }) => window.persisted = persisted)")
	p.Navigate(url + "/icon.svg")
	p.Until("location.pathname === '/icon.svg'")
}

func backInHistory(p *chromium.Page, _ string) {
	p.Run("history.back()")
	p.Until("window.persisted") // from the cache of the browser, not loaded again
}

// A message whose answer was lost is sent again, and stored once.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	l := newLink(t, s)
	ann, bob := browser.Open(t, l.url()+"/?name=ann"), s.chat("bob")
	ann.Until(isLive)
	lab := s.lab()
	lab.Run("window.eve = listen()")
	write(ann, "one")
	for _, text := range []string{"two", "three", "four"} {
		l.set(deaf) // for the answer of this call only: typing is a call too
		ann.Run("document.getElementById('text').value = '" + text + "'; document.getElementById('composer').requestSubmit()")
		ann.Until(said + ".at(-1) === '" + text + "'")
		ann.Until(isLive)
	}
	ann.Until("document.querySelectorAll('#waiting .message').length === 0")
	write(bob, "five")
	requireSame(t, 5, ann, bob)
	require.Equal(t, []string{"one", "two", "three", "four", "five"}, chromium.Eval[[]string](bob, said))
	lab.Until("eve.texts.join() === 'one,two,three,four,five'")
}
