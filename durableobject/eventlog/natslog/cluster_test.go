//go:build e2e

package natslog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// cluster is three servers in this process, each of which can be stopped.
type cluster struct {
	t       testing.TB
	dirs    []string
	clients []int // ports
	routes  []int
	servers []*server.Server
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, servers: make([]*server.Server, 3)}
	for range c.servers {
		c.dirs = append(c.dirs, t.TempDir())
		c.clients, c.routes = append(c.clients, freePort(t)), append(c.routes, freePort(t))
	}
	for i := range c.servers {
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(c.servers, func(s *server.Server) bool { return s.JetStreamIsLeader() && s.JetStreamIsCurrent() })
	}, time.Minute, 50*time.Millisecond)
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	var routes []string
	for _, port := range c.routes {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	s, err := server.NewServer(&server.Options{
		ServerName: fmt.Sprintf("n%d", i), JetStream: true, StoreDir: c.dirs[i], JetStreamMaxStore: roomForAll,
		Host: "127.0.0.1", Port: c.clients[i], NoSigs: true, NoLog: true,
		Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: c.routes[i]}, Routes: server.RoutesFromStr(strings.Join(routes, ",")),
	})
	require.NoError(c.t, err)
	s.Start()
	require.True(c.t, s.ReadyForConnections(20*time.Second))
	c.servers[i] = s
}

func (c *cluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// open opens a log with a connection that prefers a server.
func (c *cluster) open(first int, o Options, options ...nats.Option) *Log {
	c.t.Helper()
	var urls []string
	for i := range c.clients {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", c.clients[(first+i)%len(c.clients)]))
	}
	options = append(options, nats.DontRandomize(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	nc, err := nats.Connect(strings.Join(urls, ","), options...)
	require.NoError(c.t, err)
	c.t.Cleanup(nc.Close)
	o.Stream, o.Replicas = "s", 3
	var l *Log
	require.Eventually(c.t, func() bool { // the election of a leader may still be running
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		l, err = Open(ctx, nc, &o)
		return err == nil
	}, time.Minute, 100*time.Millisecond, "%v", err)
	closeLog(c.t, l)
	return l
}

// leader returns the number of the server that leads the stream.
func (c *cluster) leader() int {
	leader := -1
	require.Eventually(c.t, func() bool {
		leader = slices.IndexFunc(c.servers, func(s *server.Server) bool { return s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, "s") })
		return leader >= 0
	}, time.Minute, 20*time.Millisecond)
	return leader
}

// replaceServers restarts the servers one after the other, the leader first, and waits for
// each to have the stream again.
func (c *cluster) replaceServers() {
	c.t.Helper()
	first := c.leader()
	for i := range c.servers {
		which := (first + i) % len(c.servers)
		c.stop(which)
		c.start(which)
		require.Eventually(c.t, func() bool { return c.servers[which].JetStreamIsStreamCurrent(server.DEFAULT_GLOBAL_ACCOUNT, "s") },
			time.Minute, 50*time.Millisecond)
	}
}

// Servers are restarted one after the other, the leader first, while three nodes publish:
// no acknowledged event is lost, repeated or out of order.
func TestServersAreReplaced(t *testing.T) {
	c := newCluster(t)
	o := Options{TailCheck: 500 * time.Millisecond}
	logs := []*Log{c.open(0, o), c.open(1, o), c.open(2, o)}
	var followers []*follower
	for _, l := range logs {
		followers = append(followers, follow(t, l, "room"))
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	acknowledged := make([][]*eventlog.Record, len(logs))
	for i, l := range logs {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := &eventlog.Record{Data: []byte(strconv.Itoa(i) + "/" + strconv.Itoa(n))}
				if err := l.Append(context.Background(), "room", r, nil); err != nil {
					t.Errorf("node %d: %v", i, err)
					return
				}
				acknowledged[i] = append(acknowledged[i], r)
			}
		})
	}
	c.replaceServers()
	stop()
	writers.Wait()
	total := 0
	for _, list := range acknowledged {
		require.NotEmpty(t, list)
		total += len(list)
	}
	for i, f := range followers {
		f.until(t, func(got []*eventlog.Record, lost error) bool { return len(got) >= total || lost != nil })
		require.NoError(t, f.lost)
		require.Len(t, f.got, total)
		next := make([]int, len(logs))
		for j, r := range f.got {
			if j > 0 {
				require.Equal(t, f.got[j-1].Seq, r.Prev, "follower %d", i)
			}
			var node, n int
			_, err := fmt.Sscanf(string(r.Data), "%d/%d", &node, &n)
			require.NoError(t, err)
			require.Equal(t, next[node], n)
			require.Equal(t, acknowledged[node][n].Position(), r.Position())
			next[node]++
		}
	}
	texts, truncated := after(t, logs[1], "room", eventlog.Position{Epoch: followers[0].got[0].Epoch})
	require.False(t, truncated)
	require.Len(t, texts, total)
}

// With one server of three nothing is acknowledged, and a replay is complete or returns an
// error.
func TestNoQuorum(t *testing.T) {
	c := newCluster(t)
	l := c.open(0, Options{TailCheck: 500 * time.Millisecond, giveUp: 2 * time.Second})
	f := follow(t, l, "room")
	r := publish(t, l, "room", "1")
	f.sees(t, "1")
	c.stop(1)
	c.stop(2)
	require.ErrorIs(t, l.Append(t.Context(), "room", &eventlog.Record{Data: []byte("2")}, nil), eventlog.ErrUncertain)
	// The remaining server may still act as the leader: then it has all acknowledged
	// records.
	replay, err := l.After(t.Context(), "room", eventlog.Position{Epoch: r.Epoch})
	if err != nil {
		require.ErrorIs(t, err, eventlog.ErrUnavailable)
	} else {
		require.False(t, replay.Truncated)
		for first, err := range replay.Records {
			if err != nil {
				require.ErrorIs(t, err, eventlog.ErrUnavailable)
			} else {
				require.Equal(t, "1", string(first.Data))
			}
			break
		}
	}
	c.start(1)
	c.start(2)
	require.Eventually(t, func() bool {
		return l.Append(t.Context(), "room", &eventlog.Record{Data: []byte("3")}, nil) == nil
	}, time.Minute, 100*time.Millisecond)
	f.until(t, func(got []*eventlog.Record, lost error) bool {
		return lost != nil || string(got[len(got)-1].Data) == "3"
	})
	require.NoError(t, f.lost)
}
