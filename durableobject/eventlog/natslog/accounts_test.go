package natslog

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// TestAccounts runs a node with the permissions that the documentation recommends.
func TestAccounts(t *testing.T) {
	t.Setenv("NODE_PASSWORD", "of-the-node")
	t.Setenv("OPERATOR_PASSWORD", "of-the-operator")
	o, err := server.ProcessConfigFile("testdata/accounts.conf")
	require.NoError(t, err)
	o.JetStream, o.StoreDir, o.Host, o.Port, o.NoSigs, o.NoLog = true, t.TempDir(), "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(10*time.Second))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	refused := make(chan error, 16)
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("node", "of-the-node"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)

	l := openLog(t, nc, Options{Stream: "chat", TailCheck: 50 * time.Millisecond})
	closeLog(t, l)
	f := follow(t, l, "room")
	r := publish(t, l, "room", "1")
	f.sees(t, "1")
	texts, truncated := after(t, l, "room", eventlog.Position{Epoch: r.Epoch, Seq: r.Seq - 1})
	require.False(t, truncated)
	require.Equal(t, []string{"1"}, texts)
	_, err = l.Head(t.Context(), "other")
	require.NoError(t, err)
	state, err := l.readState(t.Context())
	require.NoError(t, err)
	_, err = l.renew(t.Context(), state)
	require.NoError(t, err)
	require.Error(t, f.isLost(t))
	heard := make(chan []byte, 1)
	stop, err := l.Bus().Listen(t.Context(), "t", func(data []byte) { heard <- data })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, l.Bus().Broadcast(t.Context(), "t", []byte("1")))
	require.Equal(t, "1", string(<-heard))
	require.NoError(t, l.Bus().Keep(t.Context(), "k", nil, time.Second))
	kept, err := l.Bus().Kept(t.Context(), "")
	require.NoError(t, err)
	require.Contains(t, kept, "k")
	require.Eventually(t, func() bool { // the last message has been dropped: the leader is asked for it
		l.bus.kept.created = time.Time{}
		kept, err = l.Bus().Kept(t.Context(), "")
		return err == nil && len(kept) == 0
	}, 30*time.Second, 200*time.Millisecond)
	require.Empty(t, refused, "the node lacks a permission")

	for _, subject := range []string{l.republished("x"), "$JS.API.STREAM.DELETE.chat", "$JS.API.STREAM.PURGE.chat", "di.other.x",
		"dib.other.x", "dik.other.x", "$JS.API.STREAM.PURGE.chat_bus"} {
		require.NoError(t, nc.Publish(subject, nil))
		require.NoError(t, nc.Flush())
		require.ErrorIs(t, <-refused, nats.ErrPermissionViolation, subject)
	}
}
