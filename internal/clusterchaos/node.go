package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/natslog"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	secret = token.Secret("the secret of the chaos")
	stream = "chaos"
)

type room struct{ *durableobject.Object[event] }

// event is a published event. It is an object, since the client of oRPC drops the id of an
// event that is a string.
type event struct {
	Text string `json:"text"`
}

// node is one of the replicas of the service: a hub, and its connection to the log. It
// reaches two of the servers, through a proxy for each.
type node struct {
	proxies []*proxy // to servers
	front   *proxy   // to this node, from its clients
	nc      *nats.Conn
	log     *natslog.Log
	rooms   *durableobject.Namespace[room]
	web     *httptest.Server
}

// interval is how often a log compares its feeds with the stream, or never.
func (c config) interval() time.Duration {
	if c.tailCheck {
		return time.Second
	}
	return 24 * time.Hour
}

func startNode(ctx context.Context, c config, servers ...*process) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start a node: %w", errors.Join(err, n.close()))
		}
	}()
	urls := make([]string, 0, len(servers))
	for _, s := range servers {
		p, err := newProxy(s.client, passMessages)
		if err != nil {
			return nil, err
		}
		n.proxies = append(n.proxies, p)
		urls = append(urls, "nats://"+p.addr())
	}
	n.nc, err = nats.Connect(strings.Join(urls, ","),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.IgnoreDiscoveredServers(), nats.PingInterval(500*time.Millisecond), nats.MaxPingsOutstanding(2), nats.Timeout(time.Second))
	if err != nil {
		return nil, err
	}
	if n.log, err = openLog(ctx, n.nc, c); err != nil {
		return nil, err
	}
	n.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[event]) (room, error) {
		return room{o}, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: 30 * time.Minute, Log: n.log})
	n.web = httptest.NewServer(durableobject.NewHandler(n.rooms, nil))
	n.front, err = newProxy(n.web.Listener.Addr().String, passBytes)
	return n, err
}

// url returns the address of the node's sockets.
func (n *node) url() string { return "ws://" + n.front.addr() }

// openLog opens the log as soon as the servers have elected a leader.
func openLog(ctx context.Context, nc *nats.Conn, c config) (*natslog.Log, error) {
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		log, err := natslog.Open(attempt, nc, &natslog.Options{
			Stream: stream, Replicas: servers, Retention: -1, TailCheck: c.interval(),
		})
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, natslog.ErrConfig) {
			return log, err
		}
		pause(ctx.Done(), 500*time.Millisecond)
	}
}

// publish publishes an event. It returns nil if the event was acknowledged.
func (n *node) publish(ctx context.Context, channel, text string, options ...durableobject.PublishOption) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := n.rooms.Get(ctx, channel)
	if err != nil {
		return err
	}
	return r.PublishEvent(ctx, event{text}, options...)
}

// drop closes a socket of a channel, if there is one here.
func (n *node) drop(ctx context.Context, channel string) {
	r, err := n.rooms.Get(ctx, channel)
	if err != nil {
		return
	}
	for ws := range r.Websockets() {
		ws.Close(4000, "dropped by the test")
		return
	}
}

// consumers returns the number of consumers of the stream.
func (n *node) consumers(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	info, err := n.info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Consumers, nil
}

func (n *node) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	js, err := jetstream.New(n.nc)
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

func (n *node) close() (err error) {
	if n.front != nil {
		err = errors.Join(err, n.front.listener.Close())
	}
	if n.rooms != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = errors.Join(err, n.rooms.Shutdown(ctx))
		n.web.Close()
	}
	if n.log != nil {
		err = errors.Join(err, n.log.Close())
	}
	if n.nc != nil {
		n.nc.Close()
	}
	for _, p := range n.proxies {
		err = errors.Join(err, p.listener.Close())
	}
	return err
}
