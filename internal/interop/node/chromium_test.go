//go:build e2e

package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/chromium"
)

// The client for Go, compiled for browsers, keeps its promises in one.
func TestHallsInChromium(t *testing.T) {
	t.Parallel()
	w := buildWASM(t)
	browser, err := chromium.Start(t.Context())
	require.NoError(t, err, "without Chromium nothing shows that browsers understand us")
	t.Cleanup(func() { require.NoError(t, browser.Close()) })
	testHalls(t, func(t *testing.T, h *hall, c programConfig) *program {
		t.Helper()
		return w.inChromium(t, browser, h, c)
	})
}

// wasmPage runs the program, and posts each of its lines once, in order.
const wasmPage = `<!doctype html>
<script src="/wasm_exec.js"></script>
<script>
  const [config, log] = %s
  let count = 0
  let sent = Promise.resolve()
  const print = console.log
  console.log = (text) => {
    print(text)
    for (const line of String(text).split('\n')) {
      const address = log + '?n=' + count++
      sent = sent.then(() => fetch(address, { method: 'POST', mode: 'no-cors', body: line }))
    }
  }
  const go = new Go()
  go.argv = ['program', config]
  WebAssembly.instantiateStreaming(fetch('/program.wasm'), go.importObject)
    .then(({ instance }) => go.run(instance))
    .catch(error => console.log('error ' + error))
</script>`

// inChromium runs the program in a page of the hall.
func (w wasm) inChromium(t *testing.T, b *chromium.Browser, h *hall, c programConfig) *program {
	t.Helper()
	p := newProgram(t, h, c)
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line, _ := io.ReadAll(r.Body) // the page waits for the answer, and sends the next line then
		p.print(string(line))
		w.WriteHeader(http.StatusNoContent)
	}))
	arguments, err := json.Marshal([]string{c.of(h), log.URL})
	require.NoError(t, err)
	h.mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, wasmPage, arguments)
	})
	h.mux.HandleFunc("/wasm_exec.js", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFile(rw, r, filepath.Join(w.runtime, "wasm_exec.js"))
	})
	h.mux.HandleFunc("/program.wasm", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFile(rw, r, w.binary)
	})
	t.Cleanup(log.Close)
	b.Open(t, h.URL+"/page")
	return p
}
