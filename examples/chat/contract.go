package main

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// This is the contract of server and client. A real program has it in a separate package
// that both import.
var (
	// Join returns a durable iterator of the room. It is called over HTTP.
	Join = durableiterator.Define[JoinInput, Message]("join")

	// These are called over the iterator's socket.
	Say      = rpc.Define[Text, rpc.Void]("say")
	Whisper  = rpc.Define[WhisperInput, rpc.Void]("whisper")
	Report   = rpc.Define[Text, rpc.Void]("report")
	Announce = rpc.Define[Text, rpc.Void]("announce")
	Who      = rpc.Define[rpc.Void, []string]("who")
	History  = rpc.Define[HistoryInput, HistoryPage]("history")
)

// Message is an event: a line of the conversation.
type Message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// User is the attachment of a token, which clients can read.
type User struct {
	Name string `json:"name"`
}

type JoinInput struct {
	Name string `json:"name" validate:"required,max=40"`
}

type Text struct {
	Text string `json:"text" validate:"required,max=500"`
}

type WhisperInput struct {
	To   string `json:"to" validate:"required"`
	Text string `json:"text" validate:"required,max=500"`
}

type HistoryInput struct {
	Before string `json:"before,omitempty"` // Next of a page; empty means the newest
}

// HistoryPage is a part of the history, the newest message first.
type HistoryPage struct {
	Lines []Line `json:"lines"`
	Next  string `json:"next,omitempty"` // empty if there is no more
}

// Line is a message with its event id, by which a client recognizes it.
type Line struct {
	ID string `json:"id"`
	Message
}
