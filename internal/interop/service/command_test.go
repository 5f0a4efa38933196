package service

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// asServer makes the test binary the command itself.
const asServer = "INTEROP_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		Main(SharedMemory)
		return
	}
	os.Exit(m.Run())
}

// The command prints its addresses, serves, and exits with status 0 on SIGTERM; an open
// socket is closed with a code that asks it to reconnect.
func TestCommand(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-retention", "1m")
	command.Env = append(os.Environ(), asServer+"=1")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	ws := useServer(t, line)

	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err = ws.Read(ctx)
	require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err), "%v", err)
	require.NoError(t, command.Wait())
}

// useServer makes a call to the server that printed the line, and returns a socket.
func useServer(t *testing.T, line []byte) *websocket.Conn {
	t.Helper()
	var at map[string]string
	require.NoError(t, json.Unmarshal(line, &at), "%s", line)
	require.Len(t, at, 4)
	require.Regexp(t, `^http://127\.0\.0\.1:[0-9]+/rpc$`, at["rpc"])
	host := at["rpc"][len("http") : len(at["rpc"])-len("/rpc")]
	require.Equal(t, "ws"+host+"/chat-room", at["chat"])
	require.Equal(t, "ws"+host+"/plain-room", at["plain"])

	link := rpc.NewLink(at["rpc"], nil)
	pong, err := ping.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	require.Equal(t, "pong", pong)
	tok, err := onMessage.Procedure().Call(t.Context(), link, nil)
	require.NoError(t, err)
	ws, _, err := websocket.Dial(t.Context(), at["chat"]+"?"+url.Values{"id": {"a"}, "token": {tok}}.Encode(), nil)
	require.NoError(t, err)
	return ws
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	o := options{logger: slog.New(slog.DiscardHandler)}
	require.ErrorContains(t, run(t.Context(), io.Discard, "nowhere at all", o), "listen")

	r, w := io.Pipe()
	require.NoError(t, r.Close())
	require.ErrorIs(t, run(t.Context(), w, "127.0.0.1:0", o), io.ErrClosedPipe)
}
