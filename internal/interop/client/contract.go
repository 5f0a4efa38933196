package main

import (
	"math/big"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The procedures that are called over HTTP.
var (
	onMessage        = durableiterator.Define[subscribeInput, event]("onMessage")
	onSomeMessage    = durableiterator.Define[rpc.Void, event]("onMessage")
	onSeedMessage    = durableiterator.Define[rpc.Void, event]("onSeedMessage")
	onPlainMessage   = durableiterator.Define[subscribeInput, event]("onPlainMessage")
	noIterator       = durableiterator.Define[rpc.Void, event](ping.Path())
	sendMessage      = rpc.Define[publishInput, rpc.Void]("sendMessage")
	sendAnything     = rpc.Define[any, rpc.Void]("sendMessage")
	sendPlainMessage = rpc.Define[publishInput, rpc.Void]("sendPlainMessage")
	echo             = rpc.Define[any, any]("echo")
	echoTyped        = rpc.Define[typed, typed]("echo")
	fail             = rpc.Define[failInput, rpc.Void]("fail", errTeapot)
	readable         = rpc.Define[any, got]("readable", rpc.WithMethod("GET"))
	ping             = rpc.Define[rpc.Void, string]("nested.ping")
	lastEventID      = rpc.Define[rpc.Void, *string]("lastEventId")
	count            = rpc.DefineEvents[countInput, numbered, total]("count")
	upload           = rpc.Define[any, uploaded]("upload")
	download         = rpc.Define[rpc.Void, downloaded]("download")

	errTeapot = rpc.DefineError[teapot]("TEAPOT", 418, "I am a teapot")
)

// The methods that are called over the socket of a room.
var (
	singleClient = rpc.Define[textMessage, rpc.Void]("singleClient")
	hiddenClient = rpc.Define[rpc.Void, rpc.Void]("hiddenClient")

	routerClient = rpc.Group("routerClient")
	routerPing   = rpc.DefineIn[any, string](routerClient, "ping")
	routerEcho   = rpc.DefineIn[any, string](routerClient, "echo")

	toolbox          = rpc.Group("toolbox")
	toolboxEcho      = rpc.DefineIn[any, any](toolbox, "echo")
	toolboxEchoTyped = rpc.DefineIn[typed, typed](toolbox, "echo")
	toolboxWhoami    = rpc.DefineIn[rpc.Void, whoami](toolbox, "whoami")
	toolboxFail      = rpc.DefineIn[failInput, rpc.Void](toolbox, "fail", errTeapot)
	toolboxSlow      = rpc.DefineIn[slowInput, string](toolbox, "slow")
	toolboxAborted   = rpc.DefineIn[keyInput, int](toolbox, "aborted")
	toolboxFlaky     = rpc.DefineIn[flakyInput, int](toolbox, "flaky")
	toolboxPublish   = rpc.DefineIn[publishInput, rpc.Void](toolbox, "publish")
	toolboxCount     = rpc.DefineEventsIn[countInput, numbered, total](toolbox, "count")
	toolboxUpload    = rpc.DefineIn[any, uploaded](toolbox, "upload")
	toolboxDownload  = rpc.DefineIn[rpc.Void, downloaded](toolbox, "download")
	toolboxRawFile   = rpc.DefineIn[rpc.Void, *value.File](toolbox, "rawFile")
)

type event struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitzero"`
}

type subscribeInput struct {
	Room string   `json:"room,omitzero"`
	Tags []string `json:"tags,omitzero"`
	Att  any      `json:"att,omitzero"`
	RPC  []string `json:"rpc,omitzero"`
	TTL  float64  `json:"ttl,omitzero"` // seconds
}

// publishInput is an event and its audience. A nil list does not restrict it.
type publishInput struct {
	Message    string    `json:"message"`
	Room       string    `json:"room,omitzero"`
	Data       any       `json:"data,omitzero"`
	Tags       []string  `json:"tags,omitzero"`
	Role       string    `json:"role,omitzero"`
	TargetIDs  []string  `json:"targetIds,omitzero"`
	ExcludeIDs []string  `json:"excludeIds,omitzero"`
	Meta       eventMeta `json:"meta,omitzero"`
}

type eventMeta struct {
	ID       string   `json:"id,omitzero"`
	Retry    int      `json:"retry,omitzero"` // milliseconds
	Comments []string `json:"comments,omitzero"`
}

// attachment is the part of a token's attachment that the server reads.
type attachment struct {
	Role    string `json:"role,omitzero"`
	Welcome bool   `json:"welcome,omitzero"`
}

type failInput struct {
	Kind string `json:"kind"`
}

type teapot struct {
	Kind string `json:"kind"`
}

type conflict struct {
	ID *big.Int  `json:"id"`
	At time.Time `json:"at"`
}

type got struct {
	Got any `json:"got"`
}

type countInput struct {
	To     int `json:"to"`
	FailAt int `json:"failAt,omitzero"`
	MS     int `json:"ms,omitzero"`
}

type numbered struct {
	N int `json:"n"`
}

type total struct {
	Total int `json:"total"`
}

// uploaded is a file with its content.
type uploaded struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"`
	Text string `json:"text"`
}

type downloaded struct {
	File *value.File `json:"file"`
	When time.Time   `json:"when"` // of methods only
}

type textMessage struct {
	Message string `json:"message"`
}

type textInput struct {
	Text string `json:"text"`
}

type whoami struct {
	ID      string     `json:"id"`
	Channel string     `json:"chn"`
	Tags    []string   `json:"tags"`
	Att     attachment `json:"att"`
	RPC     []string   `json:"rpc"`
	Iat     float64    `json:"iat"`
	Exp     float64    `json:"exp"`
}

type slowInput struct {
	MS  int    `json:"ms"`
	Key string `json:"key"`
}

type keyInput struct {
	Key string `json:"key"`
}

type flakyInput struct {
	Key      string `json:"key"`
	Failures int    `json:"failures"`
}
