//go:build e2e

package main

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// The page without oRPC and the chat are in the same room.
func TestPlain(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	ann := s.chat("ann")
	write(ann, "hello")
	p := browser.Open(t, s.url+"/plain.html")
	p.Until("document.querySelector('output').textContent === 'live'")
	p.Until("document.querySelector('li')?.textContent === 'ann: hello'") // sent before the page was opened
	p.Run("document.querySelector('input').value = 'hello ann'; document.querySelector('form').requestSubmit()")
	ann.Until(said + ".at(-1) === 'hello ann'")
	p.Until("document.querySelectorAll('li').length === 2")
	s.kill()
	p.Until("document.querySelector('output').textContent === 'waiting'")
	s.start()
	p.Until("document.querySelector('output').textContent === 'live'")
	write(ann, "again")
	p.Until("document.querySelector('li:last-child').textContent === 'ann: again'")
	require.Equal(t, 3, chromium.Eval[int](p, "document.querySelectorAll('li').length"))
}

// Messages that a user has written while the server is down survive a reload of the page,
// and are sent once, in order. A line is stored once, however many wait before it.
func TestReloadKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	const lines = 120 // more than are sent at a time
	s := startServer(t, config{})
	ann, bob := s.chat("ann"), s.chat("bob")
	s.kill()
	ann.Until("!(" + isLive + ")")
	ann.Run(`{
		window.written = 0
		const storage = Storage.prototype
		const { setItem } = storage
		storage.setItem = function (name, value) {
			written += value.length
			setItem.call(this, name, value)
		}
		for (let i = 0; i < ` + strconv.Itoa(lines) + `; i++) {
			document.getElementById('text').value = 'line ' + i
			document.getElementById('composer').requestSubmit()
		}
	}`)
	ann.Until("document.querySelectorAll('#waiting .message').length === " + strconv.Itoa(lines))
	require.Less(t, chromium.Eval[int](ann, "written"), lines*100)
	s.start() // the page is loaded from it
	ann.Navigate(s.url + "/?name=ann&reloaded")
	ann.Until("location.search.includes('reloaded')")
	ann.Until(isLive)
	bob.Until(isLive)
	requireSame(t, lines, bob, ann)
	for i, text := range chromium.Eval[[]string](ann, said) {
		require.Equal(t, "line "+strconv.Itoa(i), text)
	}
	require.Empty(t, chromium.Eval[[]string](ann, "Object.keys(sessionStorage).filter(name => name.startsWith('outbox'))"))
}
