//go:build e2e

package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// The client for Go, compiled for browsers, passes the tests in Chromium.
func TestHallsInChromium(t *testing.T) {
	t.Parallel()
	w := buildWASM(t)
	browser := startChromium(t)
	testHalls(t, func(t *testing.T, h *hall, c programConfig) *program {
		t.Helper()
		p, _ := w.inChromium(t, browser, h, c)
		return p
	})
}

func startChromium(t *testing.T) *chromium.Browser {
	t.Helper()
	browser, err := chromium.Start(t.Context())
	require.NoError(t, err, "the tests in browsers need Chromium")
	t.Cleanup(func() { require.NoError(t, browser.Close()) })
	return browser
}

// A page closes its socket when its user leaves, and catches up when the user returns.
func TestPagesInChromium(t *testing.T) {
	t.Parallel()
	w := buildWASM(t)
	browser := startChromium(t)
	for name, test := range map[string]struct {
		away, back func(p *chromium.Page, h *hall)
		reason     string
	}{
		"frozen": {
			func(p *chromium.Page, _ *hall) { lifecycle(p, "frozen") },
			func(p *chromium.Page, _ *hall) { lifecycle(p, "active") },
			"put away",
		},
		"in the history": {toElsewhere, backInHistory, "put away"},
		"in the history of a browser without freeze": {
			func(p *chromium.Page, h *hall) {
				p.Run("addEventListener('freeze', event => event.stopImmediatePropagation(), true)")
				toElsewhere(p, h)
			},
			backInHistory, "put away",
		},
		"offline": {
			func(p *chromium.Page, _ *hall) { network(p, true) },
			func(p *chromium.Page, _ *hall) { network(p, false) },
			"offline",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t, time.Hour)
			p, page := w.inChromium(t, browser, h, programConfig{})
			p.expect("state live", "pong")
			h.publish(1)
			p.expect("event 1")
			test.away(page, h)
			h.awaitSockets(0)
			h.publish(2)
			test.back(page, h)
			p.expect("state waiting", test.reason, "state live", "event 2")
			p.stop()
			p.hasNo(t, "gap")
		})
	}
}

// A page whose connection died while it was hidden notices it when it is shown.
func TestHiddenPageInChromium(t *testing.T) {
	t.Parallel()
	h := newHall(t, time.Hour)
	p, page := buildWASM(t).inChromium(t, startChromium(t), h, programConfig{})
	p.expect("state live", "pong")
	page.OpenTab("about:blank")
	page.Until("document.visibilityState === 'hidden'")
	h.publish(1)
	p.expect("event 1") // it stays connected
	h.stall()
	page.Show()
	p.within(20*time.Second, "state waiting", "state live") // 5 s, and not half a minute
	p.stop()
}

func toElsewhere(p *chromium.Page, h *hall) {
	p.Run("addEventListener('pageshow', ({ persisted }) => window.persisted = persisted)")
	p.Navigate(h.URL + "/elsewhere")
	p.Until("location.pathname === '/elsewhere'")
}

func backInHistory(p *chromium.Page, _ *hall) {
	p.Run("history.back()")
	p.Until("window.persisted") // it was not loaded again
}

func lifecycle(p *chromium.Page, state string) {
	p.Do("Page.setWebLifecycleState", map[string]any{"state": state})
}

func network(p *chromium.Page, offline bool) {
	p.Do("Network.emulateNetworkConditions", map[string]any{
		"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
	})
}

// wasmPage runs the program, and posts its lines, in order. One that could not be posted, as
// the page was offline or put away, is posted again.
const wasmPage = `<!doctype html>
<script src="/wasm_exec.js"></script>
<script>
  const [config, log] = %s
  let count = 0
  let sent = Promise.resolve()
  const print = console.log
  const post = (address, body) => fetch(address, { method: 'POST', mode: 'no-cors', body })
    .catch(() => new Promise(resolve => setTimeout(resolve, 50)).then(() => post(address, body)))
  console.log = (text) => {
    print(text)
    for (const line of String(text).split('\n')) {
      const address = log + '?n=' + count++
      sent = sent.then(() => post(address, line))
    }
  }
  const go = new Go()
  go.argv = ['program', config]
  WebAssembly.instantiateStreaming(fetch('/program.wasm'), go.importObject)
    .then(({ instance }) => go.run(instance))
    .catch(error => console.log('error ' + error))
</script>`

const ofDocument = "['freeze', 'resume', 'visibilitychange']"

// inChromium runs the program in a page of the hall.
func (w wasm) inChromium(t *testing.T, b *chromium.Browser, h *hall, c programConfig) (*program, *chromium.Page) {
	t.Helper()
	p := newProgram(t, h, c)
	next := 0
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line, _ := io.ReadAll(r.Body) // the page waits for the answer, and sends the next line then
		if r.URL.Query().Get("n") == strconv.Itoa(next) {
			next++
			p.print(string(line))
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	arguments, err := json.Marshal([]string{c.of(h), log.URL})
	require.NoError(t, err)
	h.mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, wasmPage, arguments)
	})
	h.mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) {})
	h.mux.HandleFunc("/wasm_exec.js", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFile(rw, r, filepath.Join(w.runtime, "wasm_exec.js"))
	})
	h.mux.HandleFunc("/program.wasm", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFile(rw, r, w.binary)
	})
	t.Cleanup(log.Close)
	page := b.Open(t, h.URL+"/page")
	p.tell = func(event string) {
		page.Run("(" + ofDocument + ".includes('" + event + "') ? document : window).dispatchEvent(new Event('" + event + "'))")
	}
	return p, page
}
