package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// tail has the values of the flags. It does not know the type of the events: a value.Value
// keeps an event encoded.
type tail struct {
	url, tokenURL, input, cursor string
	asJSON                       bool
	most                         int
	hc                           *http.Client // nil means the default
	out, notes                   io.Writer
}

// run follows the channel until ctx ends, after which it returns nil.
func (t *tail) run(ctx context.Context) error {
	if err := t.follow(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

func (t *tail) follow(ctx context.Context) error {
	events, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer events.Close()
	// The position of the first subscription is stored too, so that events that are
	// published before the first one is printed are not lost.
	if err := storeCursor(t.cursor, events.LastEventID()); err != nil {
		return err
	}
	printed := 0
	for event, err := range events.Events() {
		switch {
		case errors.Is(err, client.ErrGap):
			fmt.Fprintln(t.notes, "tail:", err)
		case err != nil:
			return err
		default:
			if err := t.print(event); err != nil {
				return err
			}
			printed++
		}
		if err := storeCursor(t.cursor, events.LastEventID()); err != nil {
			return err
		}
		if printed == t.most && t.most > 0 {
			return nil
		}
	}
	return nil
}

// open opens an iterator that begins after the cursor, or with new events if there is none.
func (t *tail) open(ctx context.Context) (*client.Iterator[value.Value], error) {
	last, err := loadCursor(t.cursor)
	if err != nil {
		return nil, err
	}
	opts := []rpc.CallOption{rpc.WithLastEventID(last), t.untilItIsUp()}
	options := client.Options{URL: t.url, HTTPClient: t.hc}
	if t.input == "" {
		return client.Dial[value.Value](ctx, client.HTTPToken(t.tokenURL, &client.HTTPTokenOptions{HTTPClient: t.hc}), &options, opts...)
	}
	if !json.Valid([]byte(t.input)) {
		return nil, errors.New("-input is not JSON")
	}
	base, procedure := path.Split(t.tokenURL)
	if procedure == "" {
		return nil, errors.New("-token-url does not name a procedure")
	}
	plugin := client.LinkPlugin(options)
	link := rpc.NewLink(base, &rpc.LinkOptions{HTTPClient: t.hc, Plugins: []rpc.LinkPlugin{&plugin}})
	contract := durableiterator.Define[json.RawMessage, value.Value](procedure)
	return client.Subscribe(ctx, link, contract, json.RawMessage(t.input), opts...)
}

// untilItIsUp repeats the fetch of a token while the server cannot be reached. Any response
// means that it can.
func (t *tail) untilItIsUp() rpc.Retry {
	return rpc.Retry{
		Max:   rpc.Unlimited,
		Delay: func(int, error) time.Duration { return time.Second },
		If: func(err error) bool {
			_, unreachable := errors.AsType[*url.Error](err)
			return unreachable
		},
		OnRetry: func(attempt int, err error) func(bool) {
			if attempt == 1 {
				fmt.Fprintln(t.notes, "tail: waiting for the server:", err)
			}
			return nil
		},
	}
}

// print prints an event: as JSON or, with asJSON, with its id and its whole encoding, which
// includes the types that JSON does not have.
func (t *tail) print(event rpc.Event[value.Value]) error {
	envelope, err := event.Data.Append(nil)
	if err != nil {
		return err
	}
	if t.asJSON {
		return json.NewEncoder(t.out).Encode(line{event.Meta.ID, envelope})
	}
	var data struct {
		JSON json.RawMessage `json:"json"`
	}
	if err := json.Unmarshal(envelope, &data); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s\n", data.JSON)
	return err
}

// line is an event in the output for programs.
type line struct {
	ID    string          `json:"id,omitempty"`
	Event json.RawMessage `json:"event"`
}
