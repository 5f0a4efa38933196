package main

import (
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The contract: what the server and the page agree on. web/src/contract.ts is made from it.
var (
	// Join returns a durable iterator of a room. It is called over HTTP.
	Join = durableiterator.Define[JoinInput, Event]("join")

	// What follows is called over the iterator's own socket.

	// Say stores lines. When it answers, nothing that happens can lose them.
	Say = rpc.Define[SayInput, rpc.Void]("say")
	// Typing lets the others know that somebody is writing.
	Typing = rpc.Define[rpc.Void, rpc.Void]("typing")
	// People streams who comes and who leaves. It begins with those who are here.
	People = rpc.DefineEvents[rpc.Void, Person, rpc.Void]("people")
)

// Event is what a page hears: one of its fields is set.
type Event struct {
	// Said is a message that is kept, in the order that is the same for everybody.
	Said *Message `json:"said,omitempty"`
	// Typing is the name of somebody who is writing at this moment. It is not kept.
	Typing string `json:"typing,omitempty"`
}

// Message is what somebody has said.
type Message struct {
	Key  string    `json:"key"`
	From string    `json:"from"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// Person is somebody who has come to the room, or has left it.
type Person struct {
	Name string `json:"name"`
	Here bool   `json:"here"`
}

// JoinInput names the room and the visitor. A real server takes the name from its session.
type JoinInput struct {
	Room string `json:"room" validate:"required,max=40"`
	Name string `json:"name" validate:"required,max=40"`
}

// User is the attachment of a token: whose it is. Clients can read it.
type User struct {
	Name string `json:"name"`
}

// SayInput holds the lines that a page has to send, oldest first. One call for all that
// wait keeps their order, however slow the connection is.
type SayInput struct {
	Lines []Line `json:"lines" validate:"required,max=50,dive"`
}

// Line is a message before it is sent. A page that does not know whether a line has
// arrived sends it again under the same key.
type Line struct {
	Key  string `json:"key"  validate:"required,max=40"`
	Text string `json:"text" validate:"required,max=2000"`
}
