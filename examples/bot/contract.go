package main

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// This is the part of the contract of examples/chat that the bot needs. It is copied,
// because examples/chat is a program and cannot be imported.
var (
	Join    = durableiterator.Define[JoinInput, Message]("join")
	Say     = rpc.Define[Text, rpc.Void]("say")
	Whisper = rpc.Define[WhisperInput, rpc.Void]("whisper")
	Who     = rpc.Define[rpc.Void, []string]("who")
)

// Message is an event: a line of the conversation.
type Message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

type JoinInput struct {
	Name string `json:"name"`
}

type Text struct {
	Text string `json:"text"`
}

type WhisperInput struct {
	To   string `json:"to"`
	Text string `json:"text"`
}
