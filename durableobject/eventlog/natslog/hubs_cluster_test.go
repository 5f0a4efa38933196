//go:build e2e

package natslog

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// replace stops the leader of the stream, calls between, and starts it again.
func (c *cluster) replace(between func()) {
	c.t.Helper()
	which := c.leader()
	c.stop(which)
	between()
	c.start(which)
	for _, stream := range []string{"s", "s_bus"} {
		require.Eventually(c.t, func() bool {
			return c.servers[which].JetStreamIsStreamCurrent(server.DEFAULT_GLOBAL_ACCOUNT, stream)
		}, time.Minute, 50*time.Millisecond)
	}
}

// Three hubs list the clients of all, even one that connects while a server is down, until
// a hub is killed.
func TestPresenceWhileServersAreReplaced(t *testing.T) {
	c := newCluster(t)
	hubs, book := c.hubs()
	a := hubs[0].open("a", "t1")
	hubs[1].open("b", "t2")
	hubs[2].open("c", "t3")
	for _, h := range hubs {
		h.lists("a", "b", "c")
	}
	c.replace(func() {
		hubs[1].open("d", "t4")
		for _, h := range hubs {
			h.lists("a", "b", "c", "d")
		}
	})
	require.NoError(t, a.body.Close())
	for _, h := range hubs {
		h.lists("b", "c", "d")
	}
	require.Eventually(t, func() bool { return slices.Contains(book.sorted(), "-a") }, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, []string{"+a", "+b", "+c", "+d", "-a"}, book.sorted())
	hubs[2].wire.cut(true) // to the others this looks as if it were killed
	for _, h := range hubs[:2] {
		h.lists("b", "d")
	}
	require.Eventually(t, func() bool { return slices.Contains(book.sorted(), "-c") }, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, []string{"+a", "+b", "+c", "+d", "-a", "-c"}, book.sorted())
}

// Disconnect closes sockets on all hubs, even while a server is down.
func TestDisconnectWhileServersAreReplaced(t *testing.T) {
	c := newCluster(t)
	hubs, _ := c.hubs()
	disconnect := func() {
		var sockets []*hubSocket
		for _, h := range hubs {
			sockets = append(sockets, h.open("a", "t1"))
		}
		total := 0
		require.Eventually(t, func() bool { // a hub that connects to another server is silent
			n, err := hubs[1].rooms.Disconnect(t.Context(), durableobject.Who{Tag: "guest"}, 4403, "bye")
			total += n
			return err == nil && total >= len(hubs)
		}, time.Minute, 50*time.Millisecond)
		require.Equal(t, len(hubs), total)
		for _, s := range sockets {
			require.Equal(t, 4403, s.closedWith())
		}
	}
	disconnect()
	c.replace(disconnect)
	disconnect()
}

// No revoked token is accepted on any hub, nor on one that starts later, and a hub that
// cannot read revocations accepts no socket.
func TestRevokeWhileServersAreReplaced(t *testing.T) {
	c := newCluster(t)
	hubs, book := c.hubs()
	revoke := func(id string) {
		var sockets []*hubSocket
		for _, h := range hubs {
			sockets = append(sockets, h.open("a", id))
		}
		require.Eventually(t, func() bool { // while there is no leader it is not stored
			return hubs[1].rooms.Revoke(t.Context(), durableobject.Who{TokenID: id}, time.Now().Add(time.Hour)) == nil
		}, time.Minute, 50*time.Millisecond)
		for _, s := range sockets {
			require.Equal(t, 1008, s.closedWith())
		}
	}
	answers := func(h *hub, id string, status int) bool {
		_, got := h.dial("visitor", id)
		return got == status
	}
	revoke("t1")
	c.replace(func() { revoke("t2") })
	revoke("t3")
	for i := range c.servers { // all at once, so that revocations are only on disk
		c.stop(i)
	}
	for i := range c.servers {
		c.start(i)
	}
	hubs = append(hubs, c.hub(0, book))
	for _, h := range hubs {
		require.Eventually(t, func() bool { return answers(h, "good", 101) }, time.Minute, 50*time.Millisecond)
		for _, id := range []string{"t1", "t2", "t3"} {
			require.True(t, answers(h, id, 401), id)
		}
	}
	hubs[0].wire.cut(true)
	<-time.After(11 * time.Second) // before that it may accept clients by the revocations that it knows
	require.True(t, answers(hubs[0], "good", 503))
	require.True(t, answers(hubs[1], "good", 101))
	revoked := durableobject.Who{TokenID: "t4"}
	require.NoError(t, hubs[1].rooms.Revoke(t.Context(), revoked, time.Now().Add(time.Hour)))
	hubs[0].wire.cut(false)
	require.Eventually(t, func() bool { return answers(hubs[0], "good", 101) }, 30*time.Second, 100*time.Millisecond)
	require.True(t, answers(hubs[0], "t4", 401))

	leader := c.leader()
	for i := range c.servers {
		if i != leader {
			c.stop(i)
		}
	}
	for _, h := range hubs { // the server that is left steps down as leader
		require.Eventually(t, func() bool { return answers(h, "good", 503) }, time.Minute, 100*time.Millisecond)
	}
}

// BenchmarkSendAway measures the time from a call of Disconnect or Revoke until the sockets
// on all of three hubs are closed.
func BenchmarkSendAway(b *testing.B) {
	c := newCluster(b)
	hubs, _ := c.hubs()
	until := time.Now().Add(time.Hour)
	for name, away := range map[string]func(id string) error{
		"disconnect": func(id string) error {
			_, err := hubs[0].rooms.Disconnect(b.Context(), durableobject.Who{TokenID: id}, 4403, "bye")
			return err
		},
		"revoke": func(id string) error {
			return hubs[0].rooms.Revoke(b.Context(), durableobject.Who{TokenID: id}, until)
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := range b.N {
				id := fmt.Sprint(name, " ", i, " of ", b.N)
				sockets := make([]*hubSocket, 0, len(hubs))
				for _, h := range hubs {
					sockets = append(sockets, h.open("a", id))
					for !h.has(id) { // the socket is open for the client earlier than for the hub
						runtime.Gosched()
					}
				}
				begun := time.Now()
				require.NoError(b, away(id))
				for _, s := range sockets {
					s.closedWith()
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
