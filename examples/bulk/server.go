package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
)

func newServer() http.Handler {
	router := rpc.NewRouter(Name.Handler(name), Import.Handler(summarize), Smooth.Handler(smooth))
	return rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}},
	})
}

func name(_ context.Context, sensor string) (string, error) { return strings.ToUpper(sensor), nil }

// summarize reads its input to the end. The client is slowed down while it is busy.
func summarize(_ context.Context, in *rpc.Events[Reading, rpc.Void]) (Summary, error) {
	var s Summary
	for reading, err := range in.All() {
		if err != nil {
			return Summary{}, err
		}
		s.Count++
		s.Mean += (reading.Value - s.Mean) / float64(s.Count)
	}
	return s, nil
}

// smooth sends an answer for each event of its input as it arrives.
func smooth(_ context.Context, in *rpc.Events[Reading, rpc.Void], w *rpc.EventWriter[Reading]) (rpc.Void, error) {
	last := 0.0
	for reading, err := range in.All() {
		if err != nil {
			return rpc.Void{}, err
		}
		last += (reading.Value - last) / 2
		if err := w.Send(Reading{Sensor: reading.Sensor, Value: last}); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}
