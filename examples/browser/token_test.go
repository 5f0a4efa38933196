//go:build e2e

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// slack is how much longer a busy machine may take than documented, in milliseconds.
const slack = 1000

// longestLoss is a function that returns the longest time in milliseconds for which a
// listener was not live.
const longestLoss = `(l => {
	let longest = 0, lost = 0
	for (const {state, at} of l.states) {
		if (state === 'live') {
			longest = Math.max(longest, lost && at - lost)
			lost = 0
		} else if (l.states[0].at !== at && !lost) {
			lost = at
		}
	}
	return longest
})`

// A server that is restarted with another key refuses all tokens. Pages fetch new ones.
func TestKeyChanged(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	p := s.lab()
	p.Run("window.ann = listen()")
	p.Until("ann.state === 'live'")
	p.Run("ann.say('before')")
	s.kill()
	p.Until("ann.state === 'waiting'")
	s.config.Key = "another key"
	s.start()
	require.Less(t, p.Until("ann.state === 'live'").Milliseconds(), int64(5000+slack))
	p.Run("ann.say('after')")
	p.Until("ann.texts.length === 2")
	require.Equal(t, []string{"before", "after"}, chromium.Eval[[]string](p, "ann.texts"))
	require.Equal(t, 2, chromium.Eval[int](p, "ann.tokens"))
	require.Empty(t, chromium.Eval[[]string](p, "ann.gaps"))
}

// Tokens are valid for five seconds. A page that replaces them in time keeps its socket,
// and one that does not is live again at once. Neither misses anything.
func TestTokensExpire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options         string
		sockets, tokens int // at most, in three lifetimes
	}{
		"refreshed": {"{ refreshTokenBeforeExpireInSeconds: 2 }", 1, 6},
		"refused":   {"{}", 4, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, config{Life: 5 * time.Second})
			p := s.lab()
			var sockets atomic.Int32
			p.On("Network.webSocketCreated", func([]byte) { sockets.Add(1) })
			p.Run("window.ann = listen(" + test.options + ")")
			p.Until("ann.state === 'live'")
			p.Run("window.said = 0; window.talking = setInterval(() => { ann.say('m' + said++).catch(() => said--) }, 200)")
			pause(t, 14*time.Second)
			p.Run("clearInterval(talking)")
			p.Until("ann.state === 'live' && ann.texts.includes('m' + (said - 1))")
			require.LessOrEqual(t, int(sockets.Load()), test.sockets)
			require.LessOrEqual(t, chromium.Eval[int](p, "ann.tokens"), test.tokens)
			require.GreaterOrEqual(t, chromium.Eval[int](p, "ann.tokens"), 3)
			require.Less(t, chromium.Eval[float64](p, longestLoss+"(ann)"), float64(5000+slack))
			require.Empty(t, chromium.Eval[[]string](p, "ann.gaps"))
		})
	}
}

// A computer whose clock is an hour fast or slow fetches no more tokens than others.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for name, hours := range map[string]string{"ahead": "1", "behind": "-1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, config{Life: 8 * time.Second})
			p := browser.Open(t, "about:blank")
			p.Do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `{
				const shift = ` + hours + ` * 3600e3
				const Right = Date
				window.Date = class extends Right {
					constructor(...args) { args.length === 0 ? super(Right.now() + shift) : super(...args) }
					static now() { return Right.now() + shift }
				}
			}`})
			p.Navigate(s.url + "/lab.html")
			p.Until("window.listen")
			require.Greater(t, chromium.Eval[float64](p, "Math.abs(Date.now() - "+msNow()+")"), 3.0e6)
			p.Run("window.ann = listen({ refreshTokenBeforeExpireInSeconds: 2 })")
			p.Until("ann.state === 'live'")
			pause(t, 16*time.Second)
			require.LessOrEqual(t, chromium.Eval[int](p, "ann.tokens"), 3)
			require.Equal(t, 1, chromium.Eval[int](p, "ann.lives"))
			require.Equal(t, "live", chromium.Eval[string](p, "ann.state"))
		})
	}
}

func msNow() string { return time.Now().UTC().Format("Date.parse('2006-01-02T15:04:05Z')") }

// A token does not appear in any address, line of the console or error. If the token is in
// the address, as for servers of oRPC, this test finds it.
func TestTokenIsNotSeen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options string
		seen    bool
	}{
		"subprotocol": {"{}", false},
		"address":     {"{ subprotocol: false }", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, config{})
			p := s.lab()
			var seen transcript
			for _, event := range []string{"Network.webSocketCreated", "Network.requestWillBeSent", "Runtime.consoleAPICalled",
				"Runtime.exceptionThrown", "Log.entryAdded"} {
				p.On(event, seen.add)
			}
			p.Run("window.ann = listen(" + test.options + ")")
			p.Until("ann.state === 'live'")
			s.kill()
			p.Until("ann.states.filter(({ state }) => state === 'waiting').length >= 2")
			s.config.Key = "another key"
			s.start()
			p.Until("ann.lives === 2")
			p.Run("window.eve = listen({ ...(" + test.options + "), token: () => 'x' + ann.secrets[0] })")
			p.Until("eve.error")
			texts := seen.text() + chromium.Eval[string](p, `[ann, eve].map(l => l.error + l.states.map(({ error }) => error).join()).join()
				+ performance.getEntries().map(e => e.name).join()`)
			require.Contains(t, texts, "/room?id=")
			found := slices.ContainsFunc(chromium.Eval[[]string](p, "ann.secrets"), func(secret string) bool {
				return strings.Contains(texts, secret)
			})
			require.Equal(t, test.seen, found, "%s", texts)
		})
	}
}

// transcript is the output of a browser. It is safe for concurrent use.
type transcript struct {
	mu    sync.Mutex
	texts strings.Builder
}

// add records the parameters of an event, without scripts and headers, which only the
// developer tools show.
func (s *transcript) add(params []byte) {
	var event struct {
		URL              string
		Request          struct{ URL string }
		Entry            struct{ URL, Text string }
		Args             []struct{ Value, Description any }
		ExceptionDetails any
	}
	if json.Unmarshal(params, &event) != nil {
		return
	}
	text, _ := json.Marshal(event)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts.Write(text)
}

func (s *transcript) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts.String()
}
