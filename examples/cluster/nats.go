package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// startNATS starts a cluster of n servers in this process, which keep their streams in a
// directory each, and returns their URLs.
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

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	return strconv.Atoi(port)
}
