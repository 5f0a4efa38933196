package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// timeout is how long the demo waits for anything, so that a fault ends the demo instead of
// blocking it.
const timeout = 20 * time.Second

// playDemo plays a scripted conversation, prints the messages that each client receives,
// and fails if they differ from the script.
func playDemo(ctx context.Context, server string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := &demo{out: out, server: server, cast: map[string]*actor{}}
	defer d.close()
	for _, name := range []string{"ann", "bob", "admin"} {
		if err := d.enter(ctx, name); err != nil {
			return err
		}
	}
	for _, scene := range script {
		fmt.Fprintf(out, "\n# %s\n", scene.title)
		if err := scene.play(ctx, d); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
		for _, name := range []string{"ann", "bob", "admin"} {
			if err := d.cast[name].expect(ctx, out, scene.sees[name]); err != nil {
				return fmt.Errorf("%s: %w", scene.title, err)
			}
		}
	}
	fmt.Fprintln(out, "\nEverybody saw what they should, in order, once.")
	return nil
}

// scene is an action and the messages that each client then receives.
type scene struct {
	title string
	play  func(ctx context.Context, d *demo) error
	sees  map[string][]string
}

var script = []scene{
	{
		"the admin announces: everybody sees it",
		func(ctx context.Context, d *demo) error {
			_, err := Announce.Call(ctx, d.cast["admin"].room, Text{"welcome"})
			return err
		},
		map[string][]string{
			"ann": {"admin: (announces) welcome"}, "bob": {"admin: (announces) welcome"}, "admin": {"admin: (announces) welcome"},
		},
	},
	{
		"ann says something: everybody but her sees it",
		func(ctx context.Context, d *demo) error {
			_, err := Say.Call(ctx, d.cast["ann"].room, Text{"hello"})
			return err
		},
		map[string][]string{"bob": {"ann: hello"}, "admin": {"ann: hello"}},
	},
	{
		"bob reports to the tag \"admin\": only the admin sees it",
		func(ctx context.Context, d *demo) error {
			_, err := Report.Call(ctx, d.cast["bob"].room, Text{"the lamp is broken"})
			return err
		},
		map[string][]string{"admin": {"bob: (reports) the lamp is broken"}},
	},
	{
		"bob whispers to ann: only the target sees it",
		func(ctx context.Context, d *demo) error {
			_, err := Whisper.Call(ctx, d.cast["bob"].room, WhisperInput{To: "ann", Text: "psst"})
			return err
		},
		map[string][]string{"ann": {"bob: (whispers) psst"}},
	},
	{
		"ann asks who is here: a call has an answer",
		func(ctx context.Context, d *demo) error {
			names, err := Who.Call(ctx, d.cast["ann"].room, rpc.Void{})
			fmt.Fprintln(d.out, "  the answer:", names)
			if err == nil && !slices.Equal(names, []string{"admin", "ann", "bob"}) {
				err = errors.New("somebody is missing")
			}
			return err
		},
		nil,
	},
	{
		"ann tries to announce: her token does not allow it",
		func(ctx context.Context, d *demo) error {
			_, err := Announce.Call(ctx, d.cast["ann"].room, Text{"free beer"})
			fmt.Fprintln(d.out, "  the answer:", err)
			if rpc.CodeOf(err) != rpc.CodeForbidden {
				return fmt.Errorf("got %w", err)
			}
			return nil
		},
		nil,
	},
	{
		"bob's socket is cut, the talk goes on, he comes back: nothing is lost",
		func(ctx context.Context, d *demo) error {
			bob := d.cast["bob"]
			bob.cutAndHold()
			for _, text := range []string{"one", "two", "three"} {
				if _, err := Say.Call(ctx, d.cast["ann"].room, Text{text}); err != nil {
					return err
				}
			}
			bob.release()
			return nil
		},
		map[string][]string{
			"bob": {"ann: one", "ann: two", "ann: three"}, "admin": {"ann: one", "ann: two", "ann: three"},
		},
	},
	{
		"the admin says goodbye: what everybody sees next, so nobody saw anything else before",
		func(ctx context.Context, d *demo) error {
			_, err := Announce.Call(ctx, d.cast["admin"].room, Text{"goodbye"})
			return err
		},
		map[string][]string{
			"ann": {"admin: (announces) goodbye"}, "bob": {"admin: (announces) goodbye"}, "admin": {"admin: (announces) goodbye"},
		},
	},
}

type demo struct {
	out    io.Writer
	server string
	cast   map[string]*actor
}

func (d *demo) enter(ctx context.Context, name string) error {
	a := &actor{name: name, heard: make(chan string, 100)}
	hc := &http.Client{Transport: &http.Transport{DialContext: a.dial}}
	room, err := visitor{server: d.server, name: name, hc: hc}.join(ctx)
	if err != nil {
		return err
	}
	a.room = room
	d.cast[name] = a
	go a.listen()
	return nil
}

func (d *demo) close() {
	for _, a := range d.cast {
		_ = a.room.Close()
	}
}

// actor is a client that records its messages, on a network that can be cut.
type actor struct {
	name  string
	room  *client.Iterator[Message]
	heard chan string

	mu    sync.Mutex // guards the fields below
	conns []net.Conn
	held  chan struct{} // not nil: dialing waits until it is closed
}

func (a *actor) listen() {
	defer close(a.heard)
	for m, err := range a.room.All() {
		if err != nil {
			a.heard <- "error: " + err.Error() // even a gap, which is not in the script
			return
		}
		a.heard <- m.From + ": " + m.Text
	}
}

// expect waits for the next messages of the actor.
func (a *actor) expect(ctx context.Context, out io.Writer, want []string) error {
	for _, w := range want {
		select {
		case got := <-a.heard:
			fmt.Fprintf(out, "  %-5s saw %q\n", a.name, got)
			if got != w {
				return fmt.Errorf("%s should have seen %q", a.name, w)
			}
		case <-ctx.Done():
			return fmt.Errorf("%s did not see %q: %w", a.name, w, ctx.Err())
		}
	}
	return nil
}

func (a *actor) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	a.mu.Lock()
	held := a.held
	a.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		a.mu.Lock()
		a.conns = append(a.conns, nc)
		a.mu.Unlock()
	}
	return nc, err
}

// cutAndHold cuts the actor's connections and blocks new ones.
func (a *actor) cutAndHold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, nc := range a.conns {
		_ = nc.Close()
	}
	a.conns, a.held = nil, make(chan struct{})
}

func (a *actor) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.held)
	a.held = nil
}
