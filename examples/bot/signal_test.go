//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asBot makes the test binary the program.
const asBot = "RUN_AS_BOT"

func TestMain(m *testing.M) {
	if os.Getenv(asBot) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestSIGTERM(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		_, _ = io.Copy(io.Discard, r.Body) // after it net/http detects that the client has disconnected
		<-r.Context().Done()
	}))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-join", server.URL)
	cmd.Env = append(os.Environ(), asBot+"=1")
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	<-asked
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	server.Close()
}
