//go:build linux

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/go-orpc/durable-iterator/internal/bench/host"
)

const (
	centrifugeChannel = "bench"
	centrifugeHistory = 1024 // events; more than a resume needs
)

// newCentrifuge returns a server with centrifuge's defaults: a broker in memory, with
// history and recovery, and the JSON protocol. It shares write buffers between
// connections, and its queues are long enough that a burst disconnects no client.
func newCentrifuge() (http.Handler, error) {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 1 << 30})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: true}}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	history := centrifuge.WithHistory(centrifugeHistory, time.Hour)
	mux := host.NewMux(&host.Publisher{Publish: func(_ context.Context, event host.Event) error {
		data, err := json.Marshal(event)
		if err != nil {
			return err
		}
		_, err = node.Publish(centrifugeChannel, data, history)
		return err
	}})
	mux.Handle(centrifugeJSON{}.target(0), centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{UseWriteBufferPool: true}))
	return mux, nil
}
