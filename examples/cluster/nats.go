package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// startNATS starts a cluster of n servers in this process, each with a directory for its
// streams, and returns their URLs.
func startNATS(n int, dir string) (servers []*server.Server, urls []string, err error) {
	routes, ports := make([]string, 0, n), make([]int, 0, n)
	for range n {
		port, err := freePort()
		if err != nil {
			return nil, nil, err
		}
		ports = append(ports, port)
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range n {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("nats-", i+1), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, strconv.Itoa(i)),
			Cluster: server.ClusterOpts{Name: "chat", Host: "127.0.0.1", Port: ports[i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		})
		if err != nil {
			return servers, nil, fmt.Errorf("start NATS: %w", err)
		}
		s.Start()
		servers, urls = append(servers, s), append(urls, s.ClientURL())
	}
	return servers, urls, nil
}

// freePort returns a port that is free. It is not one of the ports of outgoing connections.
func freePort() (int, error) {
	for range 100 {
		port := 10_000 + rand.IntN(20_000) //nolint:gosec // it is not a secret
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("find a port: all are taken")
}
