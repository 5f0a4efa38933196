package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/client"
)

// listen opens a channel of the relay.
func listen(ctx context.Context, out io.Writer, server, channel string) (*client.Iterator[Hook], error) {
	return client.Dial[Hook](ctx, client.HTTPToken(server+"/channels/"+channel, nil), &client.Options{
		URL: server + "/socket",
		OnGap: func(_ context.Context, g *client.GapError) {
			fmt.Fprintf(out, "%s: some are gone\n", g.Channel)
		},
	})
}

// post sends a hook like a web service.
func post(ctx context.Context, server, channel, hook string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/channels/"+channel, strings.NewReader(hook))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("post to %s: %s", channel, answer.Status)
	}
	return nil
}
