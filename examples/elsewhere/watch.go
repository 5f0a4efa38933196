package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// watch opens an iterator for a user. id is the client's id, at which events can be
// targeted.
func watch(ctx context.Context, server, id string, tags ...string) (*client.Iterator[Job], error) {
	link := rpc.NewLink(server+"/rpc", &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
		URL: server + "/socket", CreateID: func(*token.Payload) string { return id },
	}}})
	return client.Subscribe(ctx, link, Watch, WatchInput{Team: "team", Tags: tags})
}

// show prints the progress of a job until it is done.
func show(out io.Writer, jobs *client.Iterator[Job]) error {
	for job, err := range jobs.Events() {
		if errors.Is(err, client.ErrGap) {
			continue // the next event has the state of the job
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s %d%% %v\n", jobs.ID(), job.Data.Name, job.Data.Done, job.Meta.Comments)
		if job.Data.Done == 100 {
			break
		}
	}
	return nil
}
