//go:build e2e

package main

import (
	"fmt"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/internal/chromium"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
)

// screenshotVariable names a directory for screenshots of the page.
const screenshotVariable = "ADMIN_EXAMPLE_SCREENSHOTS"

// A browser signs in, kicks, revokes and signs out, under the page's policy, and takes
// screenshots of the page.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	s, err := newServer(config{Key: "key", Admin: adminToken})
	require.NoError(t, err)
	web := httptest.NewServer(s.handler)
	stop := crowd(t, s)
	browser, err := chromium.Start(t.Context())
	require.NoError(t, err)
	p := browser.Open(t, web.URL+"/admin/")
	look := func(name string, width, height int, scheme string) {
		p.Do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
		p.Do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
		require.LessOrEqual(t, chromium.Eval[int](p, "document.documentElement.scrollWidth - innerWidth"), 0, name)
		if dir := os.Getenv(screenshotVariable); dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), p.Screenshot(), 0o600))
		}
	}
	p.Until("document.querySelector('#token') !== null")
	look("sign-in", 1280, 720, "light")
	p.Run("document.querySelector('#token').value = '" + adminToken + "'; document.querySelector('form').submit()")
	p.Until("document.querySelectorAll('.members tbody tr').length === 7")
	require.Equal(t, "7", chromium.Eval[string](p, "document.querySelector('tr.chosen .n').textContent.trim()"))
	look("desk-light", 1280, 820, "light")
	look("desk-dark", 1280, 820, "dark")
	look("phone", 390, 844, "light")

	button := func(name, text string) {
		p.Run("[...document.querySelectorAll('.members tbody tr')].find(tr => tr.textContent.includes('" + name + "'))" +
			".querySelectorAll('button').forEach(b => { if (b.textContent === '" + text + "') b.click() })")
		p.Until("document.querySelector('.note')?.textContent.includes('" + name + "')")
	}
	button("Bob", "Kick")
	p.Until("document.querySelectorAll('.members .live').length === 5")
	button("Zoe", "Revoke")
	p.Until("document.querySelectorAll('.members .live').length === 4")
	look("revoked", 1280, 820, "light")
	p.Run("document.querySelector('header form').submit()")
	p.Until("document.querySelector('#token') !== null")

	p.Close()
	require.NoError(t, browser.Close())
	stop()
	web.Close()
	require.NoError(t, s.rooms.Shutdown(t.Context()))
}

// crowd fills the rooms: seven people in the lobby, one of whom reads nothing. The returned
// function closes the connections.
func crowd(t *testing.T, s *server) (leave func()) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	in := &site{s, t, memhttp.NewServer(s.handler), jar}
	var all []*client.Iterator[Message]
	var reading sync.WaitGroup
	join := func(room string, names ...string) {
		for i, name := range names {
			it, err := in.dial(room, name, fmt.Sprintf("%s-%d", strings.ToLower(name), 1204+917*i))
			require.NoError(t, err)
			all = append(all, it)
			reading.Go(func() { // until the client is closed
				for range it.All() {
				}
			})
		}
	}
	join("lobby", "Ann", "Bob", "Mei", "Omar", "Zoe", "Ivo")
	join("deploys", "Ann", "Omar", "Kim")
	join("kitchen", "Bob", "Mei")
	join("on-call", "Kim")
	in.stall("lobby", "Lena")
	for i := range 1500 {
		_, err := Say.Call(t.Context(), all[i%6], Message{"Ann", strings.Repeat("x", 1000)})
		require.NoError(t, err)
	}
	for i, name := range []string{"", "Ann", "Kim", ""} {
		_, _ = Say.Call(t.Context(), all[6+i], Message{name, "hello"})
	}
	return func() {
		for _, it := range all {
			require.NoError(t, it.Close())
		}
		reading.Wait()
		in.http.Close()
	}
}
