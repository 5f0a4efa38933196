package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The environment of a process that is a NATS server.
const (
	serveEnv = "CLUSTERCHAOS_SERVE" // the directory of its streams
	portsEnv = "CLUSTERCHAOS_PORTS" // its number, and the ports of all servers: of clients, then of routes
)

// serveNATS runs a NATS server until standard input ends, with the parent at the latest.
func serveNATS(dir string) error {
	var number int
	var ports []int
	for i, field := range strings.Fields(os.Getenv(portsEnv)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("serve: %w", err)
		}
		if i == 0 {
			number = n
			continue
		}
		ports = append(ports, n)
	}
	client, routes := ports[:len(ports)/2], ports[len(ports)/2:]
	urls := make([]string, 0, len(routes))
	for _, port := range routes {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	s, err := server.NewServer(&server.Options{
		ServerName: fmt.Sprint("n", number), JetStream: true, StoreDir: dir, Host: "127.0.0.1", Port: client[number],
		NoSigs: true, NoLog: true, NoSystemAccount: false,
		Cluster: server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: routes[number]},
		Routes:  server.RoutesFromStr(strings.Join(urls, ",")),
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	s.Start()
	_, err = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return err
}

// process is a NATS server in a process of its own.
type process struct {
	number int
	dir    string
	ports  []int
	cmd    *exec.Cmd
	alive  io.Closer
}

func (p *process) start() error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	p.cmd = exec.Command(exe) //nolint:noctx // it lives until kill
	list := []string{strconv.Itoa(p.number)}
	for _, port := range p.ports {
		list = append(list, strconv.Itoa(port))
	}
	p.cmd.Env = append(os.Environ(), serveEnv+"="+p.dir, portsEnv+"="+strings.Join(list, " "))
	if p.alive, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	return nil
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	_ = p.alive.Close()
}

// startServers starts n servers, and returns what they can be reached at.
func startServers(dir string, n int) (list []*process, addrs []string, err error) {
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		p := &process{number: i, dir: fmt.Sprintf("%s/%d", dir, i), ports: ports}
		err = errors.Join(err, p.start())
		list, addrs = append(list, p), append(addrs, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	return list, addrs, err
}

// freePorts returns ports that were free a moment ago.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a port: %w", err)
		}
		defer func() { _ = l.Close() }()
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("find a port: not TCP")
		}
		ports = append(ports, addr.Port)
	}
	return ports, nil
}

// pause waits, or until the end.
func pause(done <-chan struct{}, d time.Duration) {
	select {
	case <-done:
	case <-time.After(d):
	}
}
