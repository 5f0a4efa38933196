//go:build !js

package rpc_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// unwrapping is middleware that lets others see what it wraps.
type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// claiming is middleware that always has a Flush method, like that of gin.
type claiming struct{ unwrapping }

func (w claiming) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// panicking is middleware that takes for granted that the writer it wraps is a Flusher.
type panicking struct{ unwrapping }

func (w panicking) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// lonely is like panicking, and also hides the writer that it wraps.
type lonely struct{ http.ResponseWriter }

func (w lonely) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// order writes down the methods of a ResponseWriter that are called.
type order struct {
	*httptest.ResponseRecorder
	calls *[]string
}

func (w order) WriteHeader(status int) {
	*w.calls = append(*w.calls, "status")
	w.ResponseRecorder.WriteHeader(status)
}

func (w order) Write(p []byte) (int, error) {
	*w.calls = append(*w.calls, "write")
	return w.ResponseRecorder.Write(p)
}

func (w order) Flush() { *w.calls = append(*w.calls, "flush") }

// Writers of frameworks and compressors have to know the status before the flush.
func TestStreamsWriteTheStatusFirst(t *testing.T) {
	t.Parallel()
	var calls []string
	h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), nil)
	w := order{httptest.NewRecorder(), &calls}
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/count", strings.NewReader(`{"json":{"to":1}}`)))
	require.Equal(t, []string{"status", "write", "flush", "write", "flush", "write", "flush"}, calls)
}

func TestStreamsUnderMiddleware(t *testing.T) {
	t.Parallel()
	plain := func(w http.ResponseWriter) http.ResponseWriter { return withoutFlush{w} }
	for name, c := range map[string]struct {
		wrap    func(http.ResponseWriter) http.ResponseWriter
		flushes int // -1: refused
	}{
		"none":                         {func(w http.ResponseWriter) http.ResponseWriter { return w }, 3},
		"a wrapper with Unwrap":        {func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{unwrapping{w}} }, 3},
		"one without":                  {plain, -1},
		"one with above one without":   {func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{plain(w)} }, -1},
		"one that claims to":           {func(w http.ResponseWriter) http.ResponseWriter { return claiming{unwrapping{plain(w)}} }, -1},
		"one that only sees the next":  {func(w http.ResponseWriter) http.ResponseWriter { return claiming{unwrapping{unwrapping{w}}} }, 3},
		"one that panics for the next": {func(w http.ResponseWriter) http.ResponseWriter { return panicking{unwrapping{unwrapping{w}}} }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			var text bytes.Buffer
			h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&text, nil))})
			w := order{httptest.NewRecorder(), &calls}
			h.ServeHTTP(c.wrap(w), httptest.NewRequest(http.MethodPost, "/count", strings.NewReader(`{"json":{"to":1}}`)))
			if c.flushes < 0 {
				require.Equal(t, http.StatusInternalServerError, w.Code)
				require.Equal(t, rpc.CodeInternalServerError, errorIn(t, w.Body.Bytes()).Code)
				require.Contains(t, text.String(), `level=ERROR msg="events cannot be streamed"`)
				return
			}
			require.Equal(t, http.StatusOK, w.Code)
			require.GreaterOrEqual(t, strings.Count(strings.Join(calls, " "), "flush"), c.flushes)
			require.Empty(t, text.String())
		})
	}
}

// If the handler learns too late that nothing is flushed, it cuts the answer off.
func TestStreamsThatCannotBeFlushedAreCutOff(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&text, nil))})
	r := httptest.NewRequest(http.MethodPost, "/count", strings.NewReader(`{"json":{"to":1}}`))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		h.ServeHTTP(lonely{withoutFlush{httptest.NewRecorder()}}, r)
	})
	require.Contains(t, text.String(), `level=ERROR msg="events cannot be streamed"`)
}

// http.TimeoutHandler holds back an answer until the handler has returned.
func TestStreamsUnderTimeoutHandler(t *testing.T) {
	t.Parallel()
	h := http.TimeoutHandler(rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), nil), time.Minute, "")
	w := post(h, "/count", `{"json":{"to":1}}`)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, rpc.CodeInternalServerError, errorIn(t, w.Body.Bytes()).Code)
}
