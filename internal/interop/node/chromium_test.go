//go:build e2e && unix

package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The client for Go, compiled for browsers, keeps its promises in one.
func TestWASMInChromium(t *testing.T) {
	t.Parallel()
	testWASM(t, buildWASM(t).inChromium)
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
func (w wasm) inChromium(t *testing.T, h *hall, c wasmConfig) *program {
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
	chromium := startChromium(t, h.URL+"/page")
	t.Cleanup(func() { // before the hall is closed
		chromium()
		log.Close()
	})
	return p
}

// startChromium opens a page in a browser of its own, and returns what ends that. Without a
// browser the test fails: it was asked for.
func startChromium(t *testing.T, page string) (end func()) {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium")
	require.NoError(t, err)
	name := os.Getenv("CHROMIUM")
	if name == "" {
		name = "chromium"
	}
	//nolint:gosec,noctx // from the one who runs the tests; it ends with the test
	cmd := exec.Command(name, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--user-data-dir="+profile, page)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var text strings.Builder
	cmd.Stderr = &text
	require.NoError(t, cmd.Start(), "without Chromium nothing shows that browsers understand us")
	return sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its own group
		_ = cmd.Wait()                                      // it was killed
		_ = os.RemoveAll(profile)                           // what is left is in a directory for what is temporary
		if t.Failed() {
			t.Log(text.String())
		}
	})
}
