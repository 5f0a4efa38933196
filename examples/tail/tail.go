package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// tail is what the flags say. It knows nothing of the events' type: an value.Value
// keeps an event as it came.
type tail struct {
	url, tokenURL, input, cursor string
	asJSON                       bool
	most                         int
	out, notes                   io.Writer
}

// run follows the channel until ctx ends, which is no error.
func (t *tail) run(ctx context.Context) error {
	err := t.follow(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (t *tail) follow(ctx context.Context) error {
	events, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer events.Close()
	// Where the first subscription begins counts too: what is published before the
	// first event is printed is not lost either.
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

// open begins behind the cursor, or now if there is none.
func (t *tail) open(ctx context.Context) (*client.Iterator[value.Value], error) {
	last, err := loadCursor(t.cursor)
	if err != nil {
		return nil, err
	}
	begin := rpc.WithLastEventID(last)
	options := client.Options{URL: t.url}
	if t.input == "" {
		return client.Dial[value.Value](ctx, client.HTTPToken(t.tokenURL, nil), &options, begin)
	}
	if !json.Valid([]byte(t.input)) {
		return nil, errors.New("-input is no JSON")
	}
	base, procedure := path.Split(t.tokenURL)
	if procedure == "" {
		return nil, errors.New("-token-url names no procedure")
	}
	plugin := client.LinkPlugin(options)
	link := rpc.NewLink(base, &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&plugin}})
	contract := durableiterator.Define[json.RawMessage, value.Value](procedure)
	return client.Subscribe(ctx, link, contract, json.RawMessage(t.input), begin)
}

// print prints an event: what it is in JSON or, with asJSON, its id and all of it,
// which includes the types that JSON does not have.
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
