package main

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// target has the addresses of the server.
type target struct{ rpc, chat string }

// plain returns the address of the rooms without resume, which differs from that of the
// others in its last element.
func (at target) plain() string {
	return at.chat[:strings.LastIndexByte(at.chat, '/')] + "/plain-room"
}

// link returns a link for the procedures of the server, and for iterators over sockets
// that are opened with the options.
func (t *T) link(o client.Options) *rpc.Link {
	plugin := client.LinkPlugin(o)
	return rpc.NewLink(t.rpc, &rpc.LinkOptions{HTTPClient: t.httpClient(), Plugins: []rpc.LinkPlugin{&plugin}})
}

// httpClient returns a new client, so that no connection outlives the check.
func (t *T) httpClient() *http.Client {
	transport := &http.Transport{}
	t.cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// newRoom returns a name that no other check uses.
func newRoom() string { return "room-" + rand.Text() }

// room is a room of a check, which publishes through procedures of the server.
type room struct {
	t    *T
	name string
	link *rpc.Link
}

func (t *T) room() *room {
	return &room{t: t, name: newRoom(), link: t.link(client.Options{URL: t.chat})}
}

// publish publishes an event, with the members that are set in more.
func (r *room) publish(message string, more ...publishInput) {
	in := publishInput{}
	if len(more) > 0 {
		in = more[0]
	}
	in.Message, in.Room = message, r.name
	_, err := sendMessage.Call(r.t, r.link, in)
	r.t.ok(err)
}

func (r *room) publishAll(messages ...string) {
	for _, message := range messages {
		r.publish(message)
	}
}

// options returns options with short pauses, with the changes applied.
func (t *T) options(changes ...func(*client.Options)) client.Options {
	o := client.Options{
		URL:               t.chat,
		HTTPClient:        t.httpClient(),
		Backoff:           func(int) time.Duration { return 20 * time.Millisecond },
		RefreshTokenDelay: time.Minute,
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// subscribe opens an iterator over the room, unless in has another one.
func (r *room) subscribe(in subscribeInput, changes ...func(*client.Options)) *listener {
	return r.subscribeFrom("", in, changes...)
}

// subscribeFrom opens an iterator that resumes after an event.
func (r *room) subscribeFrom(lastEventID string, in subscribeInput, changes ...func(*client.Options)) *listener {
	in.Room = r.name
	return subscribe(r.t, onMessage, in, r.t.options(changes...), rpc.WithLastEventID(lastEventID))
}

// numbers returns the messages m<from> to m<to>.
func numbers(from, to int) []string {
	var messages []string
	for n := from; n <= to; n++ {
		messages = append(messages, "m"+strconv.Itoa(n))
	}
	return messages
}
