// Package planets is the contract of a server that is written in TypeScript, declared in Go
// by hand. In TypeScript it is
//
//	const find = os
//	  .errors({ TOO_FAR: { status: 404, data: z.object({ lightYears: z.number() }) } })
//	  .input(z.object({ id: z.number(), asOf: z.date().optional() }))
//	  .output(z.object({ name: z.string(), moons: z.set(z.string()), seenAt: z.date() }))
//	  .handler(…)
//
//	export const router = { planet: { find } }
package planets

import (
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Find is router.planet.find. Where it stands in the router is its path.
var Find = rpc.Define[FindInput, Planet]("planet.find", ErrTooFar)

// ErrTooFar is TOO_FAR among its errors.
var ErrTooFar = rpc.DefineError[TooFar]("TOO_FAR", 404, "")

// FindInput is the input of [Find]. A zero AsOf is omitted: in TypeScript it is optional.
type FindInput struct {
	ID   int       `json:"id"`
	AsOf time.Time `json:"asOf,omitzero"`
}

// Planet has a Set and a Date, which JSON does not have.
type Planet struct {
	Name   string              `json:"name"`
	Moons  map[string]struct{} `json:"moons"`
	SeenAt time.Time           `json:"seenAt"`
}

// TooFar is the data of [ErrTooFar].
type TooFar struct {
	LightYears float64 `json:"lightYears"`
}
