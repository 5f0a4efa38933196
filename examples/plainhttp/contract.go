package main

import "github.com/go-orpc/durable-iterator/rpc"

// Notice is an event: something that a user should see at once.
type Notice struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Notify sends a notice to another user.
var Notify = rpc.Define[NotifyInput, rpc.Void]("notify")

type NotifyInput struct {
	To   string `json:"to" validate:"required"`
	Text string `json:"text" validate:"required"`
}

// Profile is the response of GET /me, whose format is older than notices. Only the last
// member is new.
type Profile struct {
	Name    string `json:"name"`
	Notices string `json:"notices"`
}
