package main

import (
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// This is the contract of the server and the page. web/src/contract.ts is generated from
// it.
var (
	// Join returns a durable iterator of a room. It is called over HTTP.
	Join = durableiterator.Define[JoinInput, Event]("join")

	// These are called over the iterator's socket.

	// Say stores lines. They are on disk when it returns.
	Say = rpc.Define[SayInput, rpc.Void]("say")
	// Typing notifies the others that somebody is typing.
	Typing = rpc.Define[rpc.Void, rpc.Void]("typing")
	// People streams the people who join and leave. It begins with those who are present.
	People = rpc.DefineEvents[rpc.Void, Person, rpc.Void]("people")
)

// Event is an event of the room. One of its fields is set.
type Event struct {
	// Said is a stored message. All pages receive messages in the same order.
	Said *Message `json:"said,omitempty"`
	// Typing is the name of somebody who is typing now. It is not stored.
	Typing string `json:"typing,omitempty"`
}

// Message is a message in the room.
type Message struct {
	Key  string    `json:"key"`
	From string    `json:"from"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// Person is somebody who has joined the room, or has left it.
type Person struct {
	Name string `json:"name"`
	Here bool   `json:"here"`
}

// JoinInput names the room and the visitor. A real server takes the name from its session.
type JoinInput struct {
	Room string `json:"room" validate:"required,max=40"`
	Name string `json:"name" validate:"required,max=40"`
}

// User is the attachment of a token, which clients can read.
type User struct {
	Name string `json:"name"`
}

// SayInput has the lines that a page sends, oldest first. One call for all waiting lines
// keeps their order, however slow the connection is.
type SayInput struct {
	Lines []Line `json:"lines" validate:"required,max=50,dive"`
}

// Line is a message before it is stored. A page that does not know whether a line was
// stored sends it again with the same key.
type Line struct {
	Key  string `json:"key"  validate:"required,max=40"`
	Text string `json:"text" validate:"required,max=2000"`
}
