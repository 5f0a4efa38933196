package service

import (
	"encoding/json"
	"math/big"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The procedures that are called over HTTP.
var (
	onMessage         = durableiterator.Define[*subscribeInput, event]("onMessage")
	onSeedMessage     = durableiterator.Define[rpc.Void, event]("onSeedMessage")
	onPlainMessage    = durableiterator.Define[*subscribeInput, event]("onPlainMessage")
	sendMessage       = rpc.Define[publishInput, rpc.Void]("sendMessage")
	sendPlainMessage  = rpc.Define[publishInput, rpc.Void]("sendPlainMessage")
	sendLatestMessage = rpc.Define[publishInput, rpc.Void]("sendLatestMessage")
	echo              = rpc.Define[value.Value, value.Value]("echo")
	fail              = rpc.Define[failInput, rpc.Void]("fail", errTeapot)
	readable          = rpc.Define[value.Value, got]("readable", rpc.WithMethod("GET"))
	ping              = rpc.Define[rpc.Void, string]("nested.ping")
	lastEventID       = rpc.Define[rpc.Void, *string]("lastEventId")
	count             = rpc.DefineEvents[countInput, counted, countTotal]("count")

	collect = rpc.Define[numbers, collected]("collect")
	twice   = rpc.DefineEvents[numbers, counted, countTotal]("twice")

	upload   = rpc.Define[uploadInput, uploaded]("upload")
	download = rpc.Define[rpc.Void, downloaded]("download")
	rawFile  = rpc.Define[rpc.Void, *value.File]("rawFile")

	errTeapot = rpc.DefineError[teapot]("TEAPOT", 418, "I am a teapot")
)

// The methods that are called over a socket.
var (
	singleClient = rpc.Define[singleInput, rpc.Void]("singleClient")
	hiddenClient = rpc.Define[rpc.Void, rpc.Void]("hiddenClient")

	routerClient = rpc.Group("routerClient")
	routerPing   = rpc.DefineIn[rpc.Void, string](routerClient, "ping")
	routerEcho   = rpc.DefineIn[textInput, string](routerClient, "echo")

	toolbox        = rpc.Group("toolbox")
	toolboxEcho    = rpc.DefineIn[value.Value, value.Value](toolbox, "echo")
	toolboxWhoami  = rpc.DefineIn[rpc.Void, whoami](toolbox, "whoami")
	toolboxFail    = rpc.DefineIn[failInput, rpc.Void](toolbox, "fail", errTeapot)
	toolboxSlow    = rpc.DefineIn[slowInput, string](toolbox, "slow")
	toolboxBegun   = rpc.DefineIn[keyInput, int](toolbox, "begun")
	toolboxAborted = rpc.DefineIn[keyInput, int](toolbox, "aborted")
	toolboxFlaky   = rpc.DefineIn[flakyInput, int](toolbox, "flaky")
	toolboxPublish = rpc.DefineIn[publishInput, rpc.Void](toolbox, "publish")

	toolboxUpload   = rpc.DefineIn[uploadInput, uploaded](toolbox, "upload")
	toolboxDownload = rpc.DefineIn[rpc.Void, downloaded](toolbox, "download")
	toolboxRawFile  = rpc.DefineIn[rpc.Void, *value.File](toolbox, "rawFile")
	toolboxCount    = rpc.DefineEventsIn[countInput, counted, countTotal](toolbox, "count")
)

type event struct {
	Message string      `json:"message"`
	Data    value.Value `json:"data"` // absent if it is undefined
}

type subscribeInput struct {
	Room string   `json:"room"`
	Tags []string `json:"tags"`
	Att  any      `json:"att"`
	RPC  []string `json:"rpc"`
	TTL  float64  `json:"ttl"` // seconds
}

// publishInput is an event and its audience. A nil list does not restrict it.
type publishInput struct {
	Message    *string     `json:"message" validate:"required"`
	Room       string      `json:"room"`
	Data       value.Value `json:"data"`
	Tags       []string    `json:"tags"`
	Role       *string     `json:"role"`
	TargetIDs  []string    `json:"targetIds"`
	ExcludeIDs []string    `json:"excludeIds"`
	Meta       *eventMeta  `json:"meta"`
}

type uploadInput struct {
	File *value.File `json:"file" validate:"required"`
}

type uploaded struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"`
	Text string `json:"text"`
}

type downloaded struct {
	File *value.File `json:"file"`
	When time.Time   `json:"when,omitzero"`
}

type eventMeta struct {
	ID       string   `json:"id"`
	Retry    *float64 `json:"retry"` // milliseconds
	Comments []string `json:"comments"`
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
	Got value.Value `json:"got"`
}

type singleInput struct {
	Message *string `json:"message" validate:"required"`
}

type textInput struct {
	Text *string `json:"text" validate:"required"`
}

type whoami struct {
	ID      string          `json:"id"`
	Channel string          `json:"chn"`
	Tags    []string        `json:"tags,omitzero"`
	Att     json.RawMessage `json:"att,omitzero"`
	RPC     []string        `json:"rpc,omitzero"`
	Iat     float64         `json:"iat"`
	Exp     float64         `json:"exp"`
}

type slowInput struct {
	MS  float64 `json:"ms"`
	Key string  `json:"key"`
}

type keyInput struct {
	Key string `json:"key"`
}

type flakyInput struct {
	Key      string `json:"key"`
	Failures int    `json:"failures"`
}

type countInput struct {
	To     int     `json:"to"`
	FailAt int     `json:"failAt"` // 0: does not fail
	MS     float64 `json:"ms"`
}

type counted struct {
	N int `json:"n"`
}

// numbers is a stream of events as an input.
type numbers = *rpc.Events[counted, *countTotal]

type collected struct {
	Numbers []int    `json:"numbers"`
	IDs     []string `json:"ids"`
	Total   int      `json:"total"`
}

type countTotal struct {
	Total int `json:"total"`
}
