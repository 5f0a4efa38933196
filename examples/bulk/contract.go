package main

import "github.com/go-orpc/durable-iterator/rpc"

// Reading is a measurement of a sensor.
type Reading struct {
	Sensor string  `json:"sensor" validate:"required"`
	Value  float64 `json:"value"`
}

// Summary is a summary of readings.
type Summary struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
}

var (
	// Name returns the name of a sensor.
	Name = rpc.Define[string, string]("name")

	// Import takes a stream of events as its input.
	Import = rpc.Define[*rpc.Events[Reading, rpc.Void], Summary]("import")

	// Smooth takes one stream and answers with another, at the same time.
	Smooth = rpc.DefineEvents[*rpc.Events[Reading, rpc.Void], Reading, rpc.Void]("smooth")
)
