package service

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// With -data the events of the chat rooms are kept when the server is killed, and SIGTERM
// closes the log.
func TestData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	command, at := startCommand(t, dir)
	it := at.subscribe(t)
	at.send(t, "one")
	at.send(t, "two")
	require.Equal(t, []string{"one"}, take(t, it, 1))
	seen := it.LastEventID()
	require.NoError(t, it.Close())
	require.NoError(t, command.Process.Kill())
	require.ErrorContains(t, command.Wait(), "killed")

	command, at = startCommand(t, dir)
	at.send(t, "three")
	it = at.subscribe(t, rpc.WithLastEventID(seen))
	require.Equal(t, []string{"two", "three"}, take(t, it, 2))
	require.NoError(t, it.Close())
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	require.NoError(t, command.Wait())

	report, err := filelog.Check(dir)
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.True(t, report.Clean)
	require.EqualValues(t, 3, report.Records)
}

func startCommand(t *testing.T, dir string) (*exec.Cmd, addresses) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-data", dir)
	command.Env = append(os.Environ(), asServer+"=1")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var at addresses
	require.NoError(t, json.Unmarshal(line, &at))
	return command, at
}

func (at addresses) subscribe(t *testing.T, opts ...rpc.CallOption) *client.Iterator[event] {
	t.Helper()
	link := rpc.NewLink(at.RPC, &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: at.Chat}}})
	it, err := client.Subscribe(t.Context(), link, onMessage, nil, opts...)
	require.NoError(t, err)
	return it
}

func (at addresses) send(t *testing.T, text string) {
	t.Helper()
	_, err := sendMessage.Call(t.Context(), rpc.NewLink(at.RPC, nil), publishInput{Message: &text})
	require.NoError(t, err)
}

// take returns the next n messages. A gap is an error.
func take(t *testing.T, it *client.Iterator[event], n int) []string {
	t.Helper()
	timeout := time.AfterFunc(20*time.Second, func() { _ = it.Close() })
	defer timeout.Stop()
	var texts []string
	for e, err := range it.All() {
		require.NoError(t, err)
		texts = append(texts, e.Message)
		if len(texts) == n {
			break
		}
	}
	return texts
}

func TestDataInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := filelog.Open(dir, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	require.ErrorIs(t, run(t.Context(), nil, "127.0.0.1:0", options{data: dir}), filelog.ErrLocked)
}
