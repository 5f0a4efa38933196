package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/go-orpc/durable-iterator/internal/interop/npm"
)

// watched is a line of the script: the number of a client, and an event that it has
// received or the reason for which it has ended.
type watched struct {
	Client int    `json:"client"`
	Event  string `json:"event"`
	Error  string `json:"error"`
}

// watchUnderNode starts Node with a client of @orpc/client for each of the channels. The
// clients connect to any node. The returned channel is closed after ctx has ended, when no
// more events will arrive.
func watchUnderNode(ctx context.Context, dir string, channels []*channelRun, nodes []*node) (done <-chan struct{}, err error) {
	if err := npm.Install(ctx, dir); err != nil {
		return nil, err
	}
	in := struct {
		Addresses []string `json:"addresses"`
		Tokens    []string `json:"tokens"`
	}{}
	for _, n := range nodes {
		in.Addresses = append(in.Addresses, n.url())
	}
	watchers := make([]*watcher, len(channels))
	for i, ch := range channels {
		tok, err := newToken(ctx, ch.name)
		if err != nil {
			return nil, err
		}
		in.Tokens = append(in.Tokens, tok)
		watchers[i] = &watcher{}
		ch.watchers = append(ch.watchers, watchers[i])
	}
	arguments, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", "watch.mjs", string(arguments))
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the clients under Node: %w", err)
	}
	ended := make(chan struct{})
	lines := bufio.NewScanner(out)
	go func() {
		defer close(ended)
		err := read(lines, watchers)
		if err = errors.Join(err, cmd.Wait()); ctx.Err() == nil {
			for _, w := range watchers {
				w.fail(fmt.Errorf("the clients under Node have ended: %w", err))
			}
		}
	}()
	return ended, nil
}

// read passes the output of the script to the watchers.
func read(lines *bufio.Scanner, watchers []*watcher) error {
	for lines.Scan() {
		var line watched
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		if w := watchers[line.Client]; line.Error != "" {
			w.fail(errors.New(line.Error))
		} else {
			w.see(line.Event)
		}
	}
	return lines.Err()
}
