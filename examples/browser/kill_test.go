//go:build e2e

package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

const (
	// said is an expression for the messages that a page shows, in order.
	said = "[...document.querySelectorAll('#log .message .text')].map(e => e.textContent)"
	gaps = "document.querySelectorAll('#log .gap').length"
)

// talk makes the user of a page send a message in each interval. If the machine is busy,
// they are sent later, but not fewer.
func talk(p *chromium.Page, name string, every time.Duration) {
	p.Run(`{
		const start = performance.now()
		window.count = 0
		window.talking = setInterval(() => {
			const due = Math.min(count + 20, (performance.now() - start) / ` + strconv.FormatInt(every.Milliseconds(), 10) + `)
			while (count < due) {
				document.getElementById('text').value = '` + name + ` ' + count++
				document.getElementById('composer').requestSubmit()
			}
		}, 10)
	}`)
}

// stopTalking returns how many messages the user has sent.
func stopTalking(p *chromium.Page) int {
	return chromium.Eval[int](p, "(clearInterval(talking), count)")
}

// requireSame fails unless each page shows the same n messages, once, in the same order,
// and no gap.
func requireSame(t *testing.T, n int, pages ...*chromium.Page) {
	t.Helper()
	var first []string
	for i, p := range pages {
		untilAsMany(p, said, n)
		p.Until("document.querySelectorAll('#waiting .message').length === 0")
		texts := chromium.Eval[[]string](p, said)
		if i == 0 {
			first = texts
			require.Len(t, texts, n)
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(texts))), n)
		}
		require.Equal(t, first, texts, "page %d", i)
		require.Zero(t, chromium.Eval[int](p, gaps), "page %d", i)
	}
}

// untilAsMany waits until a list has n elements, as long as it grows: on a busy machine the
// servers restart more slowly, more messages are sent meanwhile, and it takes longer until
// all of them are shown.
func untilAsMany(p *chromium.Page, list string, n int) {
	for have := 0; have < n; {
		p.Until(list + ".length > " + strconv.Itoa(have))
		have = chromium.Eval[int](p, list+".length")
	}
}

// Two people send 40 messages a second, a third one reads, and the server is killed six
// times.
func TestKilledInFullTalk(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	ann, bob, eve := s.chat("ann"), s.chat("bob"), s.chat("eve")
	raw := s.lab()
	raw.Run("window.raw = listen()")
	raw.Until("raw.state === 'live'")
	start := time.Now()
	talk(ann, "ann", 50*time.Millisecond)
	talk(bob, "bob", 50*time.Millisecond)
	for range 6 {
		pause(t, time.Duration(300+rand.IntN(1200))*time.Millisecond)
		s.kill()
		pause(t, time.Duration(rand.IntN(1500))*time.Millisecond)
		s.start()
		ann.Until(isLive)
		bob.Until(isLive)
	}
	elapsed := time.Since(start)
	n := stopTalking(ann) + stopTalking(bob)
	t.Logf("%d messages in %v", n, elapsed)
	require.GreaterOrEqual(t, float64(n)/elapsed.Seconds(), 20.0)
	requireSame(t, n, ann, bob, eve)

	// The client has also received each message once: none was stored twice.
	untilAsMany(raw, "raw.texts", n)
	heard := chromium.Eval[[]string](raw, "raw.texts")
	require.Len(t, heard, n)
	require.Empty(t, chromium.Eval[[]string](raw, "raw.gaps"))
}
