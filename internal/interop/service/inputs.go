package service

import (
	"context"

	"github.com/go-orpc/durable-iterator/rpc"
)

// collectAll returns the numbers that it receives, up to a negative one.
func collectAll(_ context.Context, in numbers) (collected, error) {
	all := collected{Numbers: []int{}, IDs: []string{}}
	for event, err := range in.Events() {
		if err != nil {
			return all, err
		}
		if event.Data.N < 0 {
			return all, nil
		}
		all.Numbers = append(all.Numbers, event.Data.N)
		if event.Meta.ID != "" {
			all.IDs = append(all.IDs, event.Meta.ID)
		}
	}
	result, err := in.Result()
	if result != nil {
		all.Total = result.Total
	}
	return all, err
}

// sendTwice answers each number with its double.
func sendTwice(_ context.Context, in numbers, w *rpc.EventWriter[counted]) (countTotal, error) {
	n := 0
	for event, err := range in.All() {
		if err != nil {
			return countTotal{}, err
		}
		if err := w.Send(counted{2 * event.N}); err != nil {
			return countTotal{}, err
		}
		n++
	}
	return countTotal{n}, nil
}
