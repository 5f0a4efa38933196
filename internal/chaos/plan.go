package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-orpc/durable-iterator/internal/leak"
)

// endPatience is how long goroutines may take to end.
const endPatience = 10 * time.Second

// plan is the configuration of a run.
type plan struct {
	events, clients, drops, restarts, ticks int
	seed                                    uint64
}

// run executes the plan with logs in dir. It returns an error if the run could not be
// completed; the faults that it has found are in the verdict.
func (p plan) run(ctx context.Context, dir string) (*verdict, error) {
	before := len(leak.Find(""))
	s := &storm{plan: p, dir: dir, random: newRandom(p.seed, 1)}
	err := s.run(ctx)
	s.close()
	if err != nil {
		return nil, err
	}
	v := &verdict{
		clients: p.clients, graceful: s.graceful, killed: s.killed, drops: s.dropped.Load(), tally: &s.around.tally,
	}
	v.judge(&s.record, s.watchers)
	if left := leak.Wait("", before, endPatience); left != nil {
		v.faults = append(v.faults, fmt.Errorf("%d goroutines are left, of %d", len(left)-before, len(left)))
	}
	return v, nil
}

func newRandom(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // a run can be repeated
}
