package socket

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// plain is a ResponseWriter that hides the writer that it wraps.
type plain struct{ http.ResponseWriter }

// open is a ResponseWriter that has an Unwrap method.
type open struct{ http.ResponseWriter }

func (w open) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// asserting is a ResponseWriter that assumes that the writer it wraps is a Hijacker, as
// several do.
type asserting struct{ http.ResponseWriter }

func (w asserting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// failing is a Hijacker that always fails, but can unwrap the next writer.
type failing struct{ open }

func (failing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not here")
}

// counting is a ResponseWriter that writes no status after an attempt to take over the
// connection.
type counting struct {
	open
	written *bool
}

func (w counting) WriteHeader(status int) {
	if !*w.written {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w counting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*w.written = true
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// late is a framework's writer, which holds back the status until it has to write it and
// does not hand over the connection after that.
type late struct {
	open
	status int
}

func (w *late) WriteHeader(status int) { w.status = status }

func (w *late) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.status != 0 {
		return nil, nil, errors.New("the status is written")
	}
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

func TestAcceptUnderMiddleware(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrap   func(http.ResponseWriter) http.ResponseWriter
		status int
	}{
		"none":                                {func(w http.ResponseWriter) http.ResponseWriter { return w }, 101},
		"a wrapper with Unwrap":               {func(w http.ResponseWriter) http.ResponseWriter { return open{open{w}} }, 101},
		"a wrapper without":                   {func(w http.ResponseWriter) http.ResponseWriter { return plain{w} }, 501},
		"one with above one without":          {func(w http.ResponseWriter) http.ResponseWriter { return open{plain{w}} }, 501},
		"one that passes Hijack on":           {func(w http.ResponseWriter) http.ResponseWriter { return asserting{w} }, 101},
		"one that panics for lack of it":      {func(w http.ResponseWriter) http.ResponseWriter { return asserting{plain{w}} }, 501},
		"one that fails above one that works": {func(w http.ResponseWriter) http.ResponseWriter { return failing{open{w}} }, 101},
		"one that fails":                      {func(w http.ResponseWriter) http.ResponseWriter { return failing{open{plain{w}}} }, 501},
		"one that counts tries":               {func(w http.ResponseWriter) http.ResponseWriter { return counting{open{w}, new(bool)} }, 101},
		"one that counts needless attempts":   {func(w http.ResponseWriter) http.ResponseWriter { return counting{open{plain{w}}, new(bool)} }, 501},
		"one that keeps the status":           {func(w http.ResponseWriter) http.ResponseWriter { return &late{open: open{w}} }, 101},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pool := NewPool(1, 0)
				defer pool.Close()
				server, client := net.Pipe()
				defer func() { _ = client.Close() }()
				answers := make(chan *http.Response, 1)
				go func() {
					answer, _ := http.ReadResponse(bufio.NewReader(client), nil)
					answers <- answer
				}()

				recorder := httptest.NewRecorder()
				recorder.Header().Set("Set-Cookie", "a=1")
				recorder.Header().Set("Content-Encoding", "gzip")
				conn := &Conn{}
				err := conn.Accept(c.wrap(handshake{recorder, server, ""}), handshakeRequest(), pool, &script{}, Options{ReadLimit: 1 << 10})
				if c.status != http.StatusSwitchingProtocols {
					require.ErrorIs(t, err, ErrHijack)
					require.Equal(t, slog.LevelError, RefusalLevel(err))
					require.Equal(t, c.status, recorder.Code)
					require.Contains(t, recorder.Body.String(), "Unwrap() http.ResponseWriter", "the developer sees how to mend it")
					require.NotContains(t, recorder.Header(), "Upgrade")
					require.NotContains(t, recorder.Header(), "Sec-Websocket-Accept")
					_ = server.Close()
					require.Nil(t, <-answers)
					return
				}
				require.NoError(t, err)
				answer := <-answers
				require.Equal(t, c.status, answer.StatusCode)
				require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", answer.Header.Get("Sec-Websocket-Accept"))
				require.Equal(t, "a=1", answer.Header.Get("Set-Cookie"))
				require.NotContains(t, answer.Header, "Content-Encoding")
				require.Empty(t, recorder.Body.String(), "nothing is written after the connection was taken over")
				conn.Kill()
			})
		})
	}
}

// A client that does not read the answer blocks the handler for a bounded time.
func TestAcceptWithoutAReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1, 0)
		defer pool.Close()
		server, client := net.Pipe()
		defer func() { _ = client.Close() }()
		recorder := httptest.NewRecorder()
		err := new(Conn).Accept(handshake{recorder, server, ""}, handshakeRequest(), pool, &script{}, Options{})
		require.Error(t, err)
		require.Equal(t, slog.LevelDebug, RefusalLevel(err))
		require.Empty(t, recorder.Body.String())
		_, err = server.Write([]byte{0})
		require.Error(t, err, "it is closed")
	})
}

// A refusal that is not due to Hijack keeps its status and its body.
func TestAcceptRefusesNoUpgrade(t *testing.T) {
	t.Parallel()
	pool := NewPool(1, 0)
	defer pool.Close()
	recorder := httptest.NewRecorder()
	err := new(Conn).Accept(plain{recorder}, httptest.NewRequest(http.MethodGet, "/", nil), pool, &script{}, Options{})
	require.Error(t, err)
	require.Equal(t, slog.LevelDebug, RefusalLevel(err))
	require.Equal(t, http.StatusUpgradeRequired, recorder.Code)
	require.NotEmpty(t, recorder.Body.String())
}
