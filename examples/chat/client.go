package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// join calls the server over HTTP and gets an iterator over the room: its socket
// opens, and opens again when it is lost, until ctx ends or it is closed.
func join(ctx context.Context, server, name string, hc *http.Client) (*client.Iterator[Message], error) {
	link := rpc.NewLink(server+"/rpc", &rpc.LinkOptions{
		HTTPClient: hc,
		Plugins:    []rpc.LinkPlugin{&client.LinkPlugin{URL: server + "/room", HTTPClient: hc}},
	})
	return client.Subscribe(ctx, link, Join, JoinInput{Name: name})
}

// chat prints what happens in the room, and sends the lines of in to it.
func chat(ctx context.Context, server, name string, in io.Reader, out io.Writer) error {
	room, err := join(ctx, server, name, nil)
	if err != nil {
		return err
	}
	defer room.Close()
	fmt.Fprintf(out, "You are %s. Write something, or: /who, /to NAME TEXT, /report TEXT, /announce TEXT\n", name)
	go func() {
		defer room.Close()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if err := send(ctx, room, lines.Text(), out); err != nil {
				fmt.Fprintln(out, "!", err)
			}
		}
	}()
	for m, err := range room.All() {
		switch {
		case errors.Is(err, client.ErrGap):
			fmt.Fprintln(out, "! you were away for too long, some messages are gone")
		case err != nil:
			return err
		default:
			fmt.Fprintf(out, "%s: %s\n", m.From, m.Text)
		}
	}
	return nil
}

// send carries out a line of the prompt: a method call over the iterator's socket.
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
