// Command interop is a server for tests with other implementations, with several nodes that
// share a stream of a NATS server. The NATS server runs in the same process.
//
//	go run ./internal/clusterchaos/interop -nodes 2
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/natslog"
	"github.com/go-orpc/durable-iterator/internal/interop/service"
)

func main() { service.Main(open) }

// open is a [service.Opener].
func open(ctx context.Context, n int, retention time.Duration) (logs []service.Log, closeAll func() error, err error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() error { return os.RemoveAll(dir) }
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, Host: "127.0.0.1", Port: server.RANDOM_PORT,
		MaxPayload: 8 << 20, // the checks publish events of a few MiB
	})
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	s.Start()
	closeAll = func() error {
		s.Shutdown()
		s.WaitForShutdown()
		return os.RemoveAll(dir)
	}
	if !s.ReadyForConnections(30 * time.Second) {
		return nil, nil, errors.Join(errors.New("the NATS server did not become ready"), closeAll())
	}
	for range n {
		log, err := openLog(ctx, s.ClientURL(), retention)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		logs = append(logs, log)
	}
	return logs, closeAll, nil
}

// log is a log with its own connection.
type log struct {
	*natslog.Log
	nc *nats.Conn
}

func openLog(ctx context.Context, url string, retention time.Duration) (*log, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	l, err := natslog.Open(ctx, nc, &natslog.Options{Stream: "interop", Retention: retention})
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &log{l, nc}, nil
}

func (l *log) Close() error {
	defer l.nc.Close()
	return l.Log.Close()
}
