package typescript_test

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Kinds has a field of each kind. Its comment has several lines,
// and the end of a comment of TypeScript, */, in it.
type Kinds struct {
	// Text is a string.
	Text    string  `json:"text"`
	Flag    bool    `json:"flag"`
	Count   int     `json:"count"` // whole
	Ratio   float64 `json:"ratio"`
	Number  json.Number
	Life    time.Duration `json:"life"`
	Bytes   []byte        `json:"bytes"`
	Quoted  int64         `json:"quoted,string"`
	Content string        `json:"content-type"`
	hidden  int           //nolint:unused // it is not sent

	At      time.Time       `json:"at"`
	Big     *big.Int        `json:"big"`
	Link    *url.URL        `json:"link"`
	Pattern value.RegExp    `json:"pattern"`
	Address netip.Addr      `json:"address"`
	Any     any             `json:"any"`
	Raw     json.RawMessage `json:"raw"`
	Encoded value.Value     `json:"encoded"`

	List     []string            `json:"list"`
	Lists    [][]int             `json:"lists"`
	Point    [2]float64          `json:"point"`
	Board    [9]int              `json:"board"`
	Words    map[string]int      `json:"words"`
	ByNumber map[int]*Address    `json:"byNumber"`
	Seen     map[string]struct{} `json:"seen"`
	Set      value.Set           `json:"set"`
	Map      value.Map           `json:"map"`
	ByState  map[State]int       `json:"byState"`
	Nested   struct {
		A int  `json:"a"`
		B *int `json:"b"`
	} `json:"nested"`
	Maybe *struct {
		A int `json:"a"`
	} `json:"maybe"`
	Empty struct{} `json:"empty"`

	Pointer  *Address      `json:"pointer"`
	Optional *Address      `json:"optional,omitempty"`
	Later    time.Time     `json:"later,omitzero"`
	Tags     []string      `json:"tags,omitempty"`
	State    State         `json:"state"`
	Level    Level         `json:"level"`
	Tree     *Tree         `json:"tree"`
	Branches Branches      `json:"branches"`
	States   States        `json:"states"`
	Page     Page[Address] `json:"page"`
	Price    Money         `json:"price"`
	Base
	*Extra
	Renamed Base `json:"renamed"`
}

// State is a state.
type State string

// The states.
const (
	StateOpen   State = "open"
	StateClosed State = "closed"
)

// Level is a level.
type Level int

const (
	LevelLow Level = iota - 1 // the least
	LevelMid
	LevelHigh
)

// Address is where somebody lives.
type Address struct {
	Street string `json:"street"`
}

// Base is embedded.
type Base struct {
	// ID identifies something.
	ID   UserID `json:"id"`
	Text int    `json:"text"` // hidden by that of Kinds
}

// Extra is embedded by its pointer.
type Extra struct {
	Note string `json:"note"`
}

// UserID identifies a user.
type UserID string

// Tree holds itself.
type Tree struct {
	Value    int     `json:"value"`
	Children []*Tree `json:"children"`
}

// Branches holds itself without a struct.
type Branches map[string]Branches

// States holds itself, under keys that are an enum.
type States map[State]States

// Page is a part of a list.
type Page[T any] struct {
	Items []T `json:"items"`
	Next  int `json:"next,omitempty"`
}

// Money has a serializer of its own.
type Money struct{ Cents int64 }

// File, as a name, is taken.
type File struct {
	Content *value.File `json:"content"`
}

type TooLong struct {
	Max int `json:"max"`
}

// Seeded is a value, and what Random makes it of.
type Seeded struct {
	Seed  uint64 `json:"seed"`
	Value Kinds  `json:"value"`
}

var users = rpc.Group("users")

var (
	// Echo returns its input.
	Echo = rpc.Define[Kinds, Kinds]("echo")
	// Find finds something.
	//
	// Deprecated: use something else.
	Find    = rpc.DefineIn[*UserID, []Address](users, "find", ErrTooLong, ErrGone)
	Upload  = rpc.Define[File, File]("upload")
	Count   = rpc.DefineEvents[rpc.Void, int, rpc.Void]("count")
	Import  = rpc.Define[*rpc.Events[Address, Level], int]("import")
	Watch   = durableiterator.Define[UserID, Address]("watch")
	OnFile  = durableiterator.Define[rpc.Void, string]("chat.onFile")
	Say     = rpc.Define[string, rpc.Void]("say", ErrTooLong)
	Random  = rpc.Define[uint64, Kinds]("random")
	Same    = rpc.Define[Seeded, string]("same")
	OnKinds = durableiterator.Define[rpc.Void, Kinds]("onKinds")
	Numbers = rpc.DefineEvents[int, int, string]("admin.numbers")

	// ErrTooLong is the answer to a text that is too long.
	ErrTooLong = rpc.DefineError[TooLong]("TOO_LONG", 400, "too long")
	ErrGone    = rpc.DefineError[rpc.Void]("GONE", 410, "it is gone")
)

var money = value.JSONSerializer(21, func(m Money) (any, error) { return m.Cents, nil },
	func(v any) (Money, error) { cents, _ := v.(float64); return Money{int64(cents)}, nil })

func options() *typescript.Options {
	return &typescript.Options{
		Contracts: []rpc.Contract{Echo, Find, Upload, Count, Import, OnFile, Random, Same},
		Iterators: []typescript.Iterator{
			{Contract: Watch, Methods: []rpc.Contract{Say, Numbers}},
			{Contract: OnKinds, Methods: []rpc.Contract{Same}},
			{Name: "lobby", Event: reflect.TypeFor[Address]()},
		},
		Enums:       []typescript.Enum{typescript.EnumOf(StateOpen, StateClosed), typescript.EnumOf[Level]()},
		Own:         []typescript.Own{typescript.OwnType[Money]("Money", "./money.js")},
		Serializers: []value.Serializer{money},
		Types:       []reflect.Type{reflect.TypeFor[UserID]()},
		Source:      ".",
	}
}
