package main

import (
	"context"
	"net/http"

	"github.com/go-orpc/durable-iterator/rpc"
)

// work is run by the other process. It needs an address and a token, but neither a socket
// nor a log.
func work(ctx context.Context, server, serviceToken string) error {
	hub := rpc.NewLink(server+"/services", &rpc.LinkOptions{
		Header: func(context.Context, *rpc.Call) (http.Header, error) {
			return http.Header{"Authorization": {"Bearer " + serviceToken}}, nil
		},
	})
	for _, p := range []PublishInput{
		{Event: Job{"export", 10}},
		{Event: Job{"export", 40}, Tags: []string{"ops"}},
		{Event: Job{"export", 60}, TargetIDs: []string{"bob's phone"}},
		{Event: Job{"export", 80}, ExcludeIDs: []string{"ann's laptop"}},
		{Event: Job{"export", 90}, Tags: []string{}}, // for nobody
		{Event: Job{"export", 100}, Meta: Meta{RetryMS: 500, Comments: []string{"by worker 7"}}},
	} {
		p.Channel = "team"
		if _, err := Publish.Call(ctx, hub, p); err != nil {
			return err
		}
	}
	return nil
}
