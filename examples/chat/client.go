package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// visitor configures a client that joins the room.
type visitor struct {
	server, name string
	hc           *http.Client // nil means the default
}

// join calls the server over HTTP and opens an iterator over the room. The iterator keeps
// a socket open until ctx ends or it is closed.
func (v visitor) join(ctx context.Context, opts ...rpc.CallOption) (*client.Iterator[Message], error) {
	server := strings.TrimRight(v.server, "/")
	link := rpc.NewLink(server+"/rpc", &rpc.LinkOptions{
		HTTPClient: v.hc,
		Plugins:    []rpc.LinkPlugin{&client.LinkPlugin{URL: server + "/room"}},
	})
	return client.Subscribe(ctx, link, Join, JoinInput{Name: v.name}, opts...)
}

// untilItIsUp repeats a call while the server cannot be reached. Any response means that it
// can.
func untilItIsUp(out io.Writer) rpc.Retry {
	return rpc.Retry{
		Max:   rpc.Unlimited,
		Delay: func(int, error) time.Duration { return time.Second },
		If: func(err error) bool {
			_, unreachable := errors.AsType[*url.Error](err)
			return unreachable
		},
		OnRetry: func(attempt int, err error) func(bool) {
			if attempt == 1 {
				fmt.Fprintln(out, "! waiting for the server:", err)
			}
			return nil
		},
	}
}

// chat prints the messages of the room, and sends the lines of in to it.
func chat(ctx context.Context, v visitor, in io.Reader, out io.Writer) error {
	room, err := v.join(ctx, untilItIsUp(out))
	if err != nil {
		return err
	}
	defer room.Close()
	fmt.Fprintf(out, "You are %s. Write something, or: /who, /to NAME TEXT, /report TEXT, /announce TEXT\n", v.name)
	said, err := printHistory(ctx, room, out)
	if err != nil {
		return err
	}
	go func() {
		defer room.Close()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if err := send(ctx, room, lines.Text(), out); err != nil {
				fmt.Fprintln(out, "!", err)
			}
		}
	}()
	for e, err := range room.Events() {
		switch {
		case errors.Is(err, client.ErrGap):
			fmt.Fprintln(out, "! you were away for too long, some messages are gone")
		case err != nil:
			return err
		case !said[e.Meta.ID]:
			fmt.Fprintf(out, "%s: %s\n", e.Data.From, e.Data.Text)
		}
	}
	return nil
}

// printHistory prints the last fifty messages and returns their ids. A message that was
// sent after the iterator was opened is also received as an event.
func printHistory(ctx context.Context, room *client.Iterator[Message], out io.Writer) (said map[string]bool, err error) {
	page, err := History.Call(ctx, room, HistoryInput{})
	if err != nil {
		return nil, err
	}
	said = map[string]bool{}
	for _, line := range slices.Backward(page.Lines) {
		fmt.Fprintf(out, "%s: %s\n", line.From, line.Text)
		said[line.ID] = true
	}
	return said, nil
}

// send executes a line of the prompt: a method call over the iterator's socket.
func send(ctx context.Context, room *client.Iterator[Message], line string, out io.Writer) error {
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "":
		return nil
	case "/who":
		names, err := Who.Call(ctx, room, rpc.Void{})
		fmt.Fprintln(out, "here:", strings.Join(names, ", "))
		return err
	case "/to":
		to, text, _ := strings.Cut(rest, " ")
		_, err := Whisper.Call(ctx, room, WhisperInput{To: to, Text: text})
		return err
	case "/report":
		_, err := Report.Call(ctx, room, Text{rest})
		return err
	case "/announce":
		_, err := Announce.Call(ctx, room, Text{rest})
		return err
	}
	_, err := Say.Call(ctx, room, Text{line})
	return err
}
