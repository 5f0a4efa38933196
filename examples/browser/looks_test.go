//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// screenshotVariable names a directory for screenshots of the chat.
const screenshotVariable = "BROWSER_EXAMPLE_SCREENSHOTS"

// look sets the size and the colours of a page.
func look(p *chromium.Page, width, height int, scheme string, phone bool) {
	p.Do("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
	})
	p.Do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme},
		{"name": "prefers-reduced-motion", "value": "reduce"},
	}})
}

func screenshot(t *testing.T, p *chromium.Page, name string) {
	t.Helper()
	if dir := os.Getenv(screenshotVariable); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), p.Screenshot(), 0o600))
	}
}

// write sends a message as a user does, and waits until it is shown.
func write(p *chromium.Page, text string) {
	p.Run("document.getElementById('text').focus()")
	p.Do("Input.insertText", map[string]any{"text": text})
	press(p, "Enter")
	p.Until("[...document.querySelectorAll('#log .text')].at(-1)?.textContent === " + quote(text))
}

func press(p *chromium.Page, key string) {
	code := map[string]int{"Enter": 13, "Tab": 9, "Escape": 27}[key]
	text := map[string]string{"Enter": "\r"}[key]
	p.Do("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text})
	p.Do("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code})
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// This takes screenshots of a conversation on a desktop, in the dark scheme and on a phone:
// connected, while the server is down, and after messages were lost.
func TestLooks(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	ann, bob, mei := s.chat("Ann"), s.chat("Bob"), s.chat("Mei")
	look(ann, 1000, 680, "light", false)
	look(mei, 390, 780, "dark", true)
	write(bob, "Morning! Did the deploy go through?")
	write(ann, "It did, ten minutes ago.")
	write(ann, "I killed the old server in the middle of your sentence, to see what happens.")
	write(bob, "Nothing happened. The badge went yellow for a second and my message was there.")
	write(mei, "Same here, on the train. Two tunnels, and not a message missing.")
	write(ann, "Then let's ship it")
	ann.Until("document.querySelectorAll('#people-list li').length === 3")
	mei.Until("document.querySelectorAll('#faces .face').length === 3")
	bob.Run("document.getElementById('text').dispatchEvent(new Event('input'))")
	ann.Until("document.getElementById('typing').textContent === 'Bob is typing'")
	screenshot(t, ann, "desk-light")
	screenshot(t, mei, "phone-dark")
	for _, p := range []*chromium.Page{ann, mei} {
		require.LessOrEqual(t, chromium.Eval[int](p, "document.documentElement.scrollWidth - innerWidth"), 0)
	}

	// A message that is written while the server is down is sent when it is back.
	s.kill()
	ann.Until("document.getElementById('state').dataset.state === 'waiting'")
	ann.Run("document.getElementById('text').focus()")
	ann.Do("Input.insertText", map[string]any{"text": "Are you still there?"})
	press(ann, "Enter")
	ann.Until("document.querySelector('#waiting .mark')?.textContent === 'Sending…'")
	look(ann, 1000, 680, "dark", false)
	screenshot(t, ann, "desk-away")
	s.config.Data = t.TempDir() // all messages are lost
	s.start()
	ann.Until(isLive)
	ann.Until("document.querySelectorAll('#waiting .message').length === 0")
	ann.Until(gaps + " === 1")
	ann.Until("[...document.querySelectorAll('#log > li')].at(-2).className === 'gap'")
	bob.Until(gaps + " === 1")
	screenshot(t, ann, "desk-gap")
	require.Len(t, chromium.Eval[[]string](ann, said), 7)
}

// Long names and words fit into a phone's width.
func TestLongWords(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	name := "Bartholomew " + strings.Repeat("o", 27)
	chat, plain := s.chat(name), browser.Open(t, s.url+"/plain.html")
	look(chat, 320, 640, "light", true)
	look(plain, 320, 640, "dark", true)
	const fits = "(e => e.scrollHeight <= e.clientHeight)(document.getElementById('text'))"
	chat.Until("document.getElementById('text').placeholder.includes('Bartholomew') && " + fits)
	write(chat, strings.Repeat("w", 200))
	chat.Run("document.getElementById('text').focus()")
	for range 3 {
		chat.Do("Input.insertText", map[string]any{"text": "some words "})
		require.True(t, chromium.Eval[bool](chat, fits))
	}
	chat.Run("document.getElementById('people-toggle').click()")
	plain.Until("document.querySelectorAll('li').length === 1")
	for _, p := range []*chromium.Page{chat, plain} {
		require.LessOrEqual(t, chromium.Eval[int](p, "document.documentElement.scrollWidth - innerWidth"), 0)
	}
	require.NotEqual(t, "rgb(255, 255, 255)", chromium.Eval[string](plain, "getComputedStyle(document.querySelector('input')).backgroundColor"), "it is dark")
}

// The name is entered in a dialog, and everything can be done with the keyboard.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startServer(t, config{})
	p := browser.Open(t, s.url+"/")
	look(p, 390, 700, "light", true)
	p.Until("document.activeElement.id === 'name'")
	screenshot(t, p, "phone-name")
	for _, text := range []string{"", " ", "An"} { // no name yet
		p.Do("Input.insertText", map[string]any{"text": text})
		press(p, "Escape")
		p.Until("document.getElementById('who').open && document.activeElement.id === 'name'")
		if text == " " {
			press(p, "Enter")
			p.Until("document.getElementById('who').open && document.activeElement.id === 'name'")
		}
	}
	p.Run("document.activeElement.select()")
	p.Do("Input.insertText", map[string]any{"text": "Ann"})
	press(p, "Enter")
	p.Until(isLive)
	p.Until("document.activeElement.id === 'text'")
	write(p, "hello")
	for _, want := range []string{"Send", "Skip to the message field", "1 person here", "Conversation"} {
		press(p, "Tab")
		const focused = "(e => (e.ariaLabel || e.innerText || e.textContent).trim())(document.activeElement)"
		for chromium.Eval[string](p, "document.activeElement.tagName") == "BODY" { // the end of the page comes first
			press(p, "Tab")
		}
		require.Contains(t, chromium.Eval[string](p, focused), want)
	}
	p.Navigate(s.url + "/") // the tab knows the name
	p.Until(isLive)
	require.False(t, chromium.Eval[bool](p, "document.getElementById('who').open"))
}
