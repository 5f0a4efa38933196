// Package chat is the contract of a first durable iterator. Server and client import it.
package chat

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Message is an event.
type Message struct {
	Text string `json:"text" validate:"required"`
}

var (
	// OnMessage is the subscription to a room.
	OnMessage = durableiterator.Define[rpc.Void, Message]("onMessage")
	// Say is a method of the room.
	Say = rpc.Define[Message, rpc.Void]("say")
)
