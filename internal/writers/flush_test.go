package writers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

var errGone = errors.New("gone")

// flusher is a writer of middleware that flushes with a function.
type flusher struct {
	http.ResponseWriter
	flush func() error
}

func (f flusher) Unwrap() http.ResponseWriter { return f.ResponseWriter }
func (f flusher) FlushError() error           { return f.flush() }

func TestFlush(t *testing.T) {
	t.Parallel()
	fails := func() error { return errGone }
	panics := func() error { panic("no Flusher") }
	ignores := func() error { return nil }
	for name, test := range map[string]struct {
		around func(server http.ResponseWriter) http.ResponseWriter
		err    error
		sent   bool
	}{
		"the server's":              {around: func(w http.ResponseWriter) http.ResponseWriter { return w }, sent: true},
		"one without a method":      {around: func(w http.ResponseWriter) http.ResponseWriter { return wrapper{w} }, sent: true},
		"one that does not flush":   {around: func(w http.ResponseWriter) http.ResponseWriter { return flusher{w, ignores} }, sent: true},
		"one that panics":           {around: func(w http.ResponseWriter) http.ResponseWriter { return flusher{w, panics} }, sent: true},
		"one that fails":            {around: func(w http.ResponseWriter) http.ResponseWriter { return flusher{w, fails} }, err: errGone},
		"one that hides the others": {around: func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} }, err: http.ErrNotSupported},
		"the innermost panics":      {around: func(http.ResponseWriter) http.ResponseWriter { return flusher{nil, panics} }, err: http.ErrNotSupported},
	} {
		server := httptest.NewRecorder()
		require.ErrorIs(t, Flush(test.around(server)), test.err, name)
		require.Equal(t, test.sent, server.Flushed, name)
	}
	server := httptest.NewRecorder()
	require.True(t, CanFlush(flusher{server, panics}))
	require.False(t, CanFlush(flusher{struct{ http.ResponseWriter }{server}, ignores}), "which would only seem to")
}
