package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// demoRooms are the rooms of the demo and the people in them.
var demoRooms = map[string][]string{
	"lobby":    {"Ann", "Bob", "Mei", "Omar", "Zoe", "Ivo", "Lena"},
	"deploys":  {"Ann", "Omar", "Kim"},
	"kitchen":  {"Bob", "Mei", "Paul", "Zoe"},
	"on-call":  {"Kim"},
	"design/3": {"Lena", "Ivo"},
}

// lines are the messages of the demo.
var lines = []string{
	"Morning!", "Did the deploy go through?", "It did.", "Coffee?", "Two tunnels, and not a message missing.",
	"Who broke the build?", "Not me.", "Then let's ship it", "Back in five.", "The badge is green again.",
}

// demo connects the people, who send messages until ctx ends. A person that an
// operator disconnects does not return.
func demo(ctx context.Context, s *server, url string) error {
	var people sync.WaitGroup
	errs := make(chan error, 64)
	for room, names := range demoRooms {
		for _, name := range names {
			people.Go(func() {
				err := s.person(ctx, url, room, name)
				if err != nil && ctx.Err() == nil && !errors.Is(err, client.ErrEnded) {
					errs <- fmt.Errorf("%s in %s: %w", name, room, err)
				}
			})
		}
	}
	people.Wait()
	close(errs)
	return <-errs
}

// person joins a room and sends a message from time to time.
func (s *server) person(ctx context.Context, url, room, name string) error {
	src := client.TokenFunc(func(ctx context.Context) (string, error) { return s.token(ctx, room, name) })
	it, err := client.Dial[Message](ctx, src, &client.Options{
		URL: url + "/room", CreateID: func(*token.Payload) string { return fmt.Sprint(name, "-", dice(9000)+1000) },
	})
	if err != nil {
		return err
	}
	defer it.Close()
	talking, stop := context.WithCancel(ctx)
	var mouth sync.WaitGroup
	mouth.Go(func() { talk(talking, it, name) })
	defer mouth.Wait()
	defer stop()
	for _, err := range it.All() {
		if err != nil {
			return err
		}
	}
	return nil
}

// talk sends a message every few seconds until ctx ends.
func talk(ctx context.Context, room rpc.Caller, name string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second + time.Duration(dice(5000))*time.Millisecond):
		}
		text := lines[dice(len(lines))]
		if dice(20) == 0 {
			text = "" // the server refuses an empty message
		}
		_, _ = Say.Call(ctx, room, Message{From: name, Text: text})
	}
}

func dice(n int) int { return rand.IntN(n) } //nolint:gosec // it need not be hard to guess
