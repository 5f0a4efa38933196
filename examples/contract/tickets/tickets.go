// Package tickets is the contract of a box office, and has nothing else. Its server and its
// clients import it.
package tickets

import (
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The types for pages in TypeScript are generated from it.
//
//go:generate go run ../typescript ../web/tickets.ts

var (
	// Buy is a procedure, and declares how it can fail.
	Buy = rpc.Define[Order, Sale]("buy", ErrSoldOut)

	// Journal is a procedure whose output is a stream of events: the sales so far,
	// and in the end the sum of them.
	Journal = rpc.DefineEvents[rpc.Void, Sale, Total]("journal")

	// OnSale returns a durable iterator of the sales from now on.
	OnSale = durableiterator.Define[rpc.Void, Sale]("onSale")

	// Ping is a method of the object behind that iterator, called over its socket.
	Ping = rpc.Define[rpc.Void, string]("ping")
)

// ErrSoldOut is the error for an [Order] of more seats than are left.
var ErrSoldOut = rpc.DefineError[SoldOut]("SOLD_OUT", 409, "there are not as many seats")

// Order is an order of seats.
type Order struct {
	Name  string `json:"name" validate:"required"`
	Seats int    `json:"seats" validate:"min=1,max=9"`
}

// Sale is an order that was fulfilled.
type Sale struct {
	Name  string `json:"name"`
	Seats int    `json:"seats"`
}

// Total is the sum of all sales.
type Total struct {
	Seats int `json:"seats"`
}

// SoldOut is the data of [ErrSoldOut].
type SoldOut struct {
	Left int `json:"left"`
}
