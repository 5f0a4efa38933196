package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/go-orpc/durable-iterator/internal/child"
)

// serveEnv is the environment variable that makes a process a NATS server. Its value is a
// serverConfig as JSON.
const serveEnv = "CLUSTERCHAOS_SERVE"

// serverConfig configures a NATS server. The server chooses its ports and reports them, so
// that none can be in use. Others connect to it through proxies, whose addresses do not
// change.
type serverConfig struct {
	Number int      `json:"number"`
	Dir    string   `json:"dir"`    // of its streams
	Routes []string `json:"routes"` // of the proxies in front of the routes of all servers, by number
}

func (c serverConfig) name() string { return fmt.Sprint("n", c.Number) }

// listening has the addresses for clients and routes, which a server reports when it is
// ready.
type listening struct {
	Client string `json:"client"`
	Route  string `json:"route"`
}

// startTimeout is how long a server may take to get ready, and the servers to elect a
// leader.
const startTimeout = time.Minute

// serveNATS runs a NATS server until standard input ends, which it does at the latest when
// the parent process exits.
func serveNATS(config string) error {
	var c serverConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	var others []string
	for i, addr := range c.Routes {
		if i != c.Number {
			others = append(others, "nats://"+addr)
		}
	}
	s, err := server.NewServer(&server.Options{
		ServerName: c.name(), JetStream: true, StoreDir: c.Dir, NoSigs: true, NoLog: true,
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		Cluster: server.ClusterOpts{
			Name: "chaos", Host: "127.0.0.1", Port: server.RANDOM_PORT, Advertise: c.Routes[c.Number],
		},
		Routes: server.RoutesFromStr(strings.Join(others, ",")),
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(startTimeout) {
		return errors.New("serve: the server did not become ready")
	}
	if err := json.NewEncoder(os.Stdout).Encode(listening{s.Addr().String(), s.ClusterAddr().String()}); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is a NATS server in a separate process.
type process struct {
	config serverConfig
	at     atomic.Pointer[listening]
	child  *child.Process
}

// client and route return the latest addresses of the server.
func (p *process) client() string { return p.at.Load().Client }
func (p *process) route() string  { return p.at.Load().Route }

// start starts the server and waits until it listens.
func (p *process) start(ctx context.Context) error {
	config, err := json.Marshal(p.config)
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	p.child, err = child.Start(context.WithoutCancel(ctx), serveEnv+"="+string(config), nil, func(line string) error {
		at := &listening{}
		err := json.Unmarshal([]byte(line), at)
		p.at.Store(at)
		return err
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		err = p.child.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	return nil
}

// kill kills the process, as in a crash, if it is running.
func (p *process) kill() {
	if p.child != nil {
		_ = p.child.Kill()
	}
}

// leader returns the server that leads the stream, or nil if it is not known.
func (c *cluster) leader(ctx context.Context) *process {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, n := range c.nodes {
		info, err := n.info(ctx)
		if err != nil || info.Cluster == nil {
			continue
		}
		for _, p := range c.servers {
			if p.config.name() == info.Cluster.Leader {
				return p
			}
		}
	}
	return nil
}

// startServers starts n servers that are connected through proxies.
func (c *cluster) startServers(ctx context.Context, dir string, n int) error {
	var routes []string
	for i := range n {
		p := &process{config: serverConfig{Number: i, Dir: fmt.Sprint(dir, "/", i)}}
		p.at.Store(&listening{}) // connections are closed until it listens
		proxy, err := newProxy(p.route, passBytes)
		if err != nil {
			return err
		}
		c.servers, c.routes, routes = append(c.servers, p), append(c.routes, proxy), append(routes, proxy.addr())
	}
	for _, p := range c.servers {
		p.config.Routes = routes
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for d, or until done is closed.
func pause(done <-chan struct{}, d time.Duration) {
	select {
	case <-done:
	case <-time.After(d):
	}
}
