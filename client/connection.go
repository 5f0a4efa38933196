package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
)

// writeTimeout is how long a connection may take for what is sent at a time.
const writeTimeout = 30 * time.Second

var (
	errNoPong       = errors.New("the server does not answer pings")
	errNotConnected = errors.New("client: there is no connection")
)

// connection is one WebSocket, from its opening to its end.
type connection struct {
	*dial.Conn
	done chan struct{} // closed when nothing of the connection is running

	// These belong to the supervisor.
	cred    credential // the last that the server has taken
	sharing bool       // it is being told of another one
}

// serve hands the messages to calls until the connection ends, and then the reason to
// ended. It returns at once.
func (c *connection) serve(calls *rpc.ClientPeer, pingInterval time.Duration, ended func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var pings sync.WaitGroup
	if pingInterval > 0 {
		pings.Go(func() { c.ping(ctx, pingInterval) })
	}
	go func() {
		defer close(c.done)
		err := c.read(calls)
		cancel()
		pings.Wait()
		calls.Disconnect(err)
		ended(err)
	}()
}

// read gives the reason why the connection has ended.
func (c *connection) read(calls *rpc.ClientPeer) error {
	for {
		message, binary, err := c.Read()
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if err := calls.Receive(message, binary); err != nil && !hasOwner(err) {
			c.Fail(fmt.Errorf("bad message: %w", err)) // it may have been an event
		}
	}
}

// hasOwner tells whether the call or subscription that a bad message belongs to has
// got the error.
func hasOwner(err error) bool {
	bad, ok := errors.AsType[*peer.DecodeError](err)
	return ok && bad.ID != nil
}

// ping asks for signs of life until there is none.
func (c *connection) ping(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting, stop := context.WithTimeout(ctx, interval)
		err := c.Ping(waiting)
		stop()
		if err != nil {
			c.Fail(errNoPong)
			return
		}
	}
}

// close ends the connection with a close frame, and returns when it has ended.
func (c *connection) close() {
	c.Close()
	<-c.done
}
