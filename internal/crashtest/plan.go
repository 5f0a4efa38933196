package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// These define when a server is killed: one in earlyOneIn within earlyWithin after its
// start, ready or not, and the others between killAfter and killBefore after they are
// ready.
const (
	killAfter   = 10 * time.Millisecond
	killBefore  = 120 * time.Millisecond
	earlyOneIn  = 8
	earlyWithin = 20 * time.Millisecond
)

// plan is the configuration of a run.
type plan struct {
	kills, publishers, keyed, clients int
	seed                              uint64
	forgetful                         bool // a fault: the server forgets keys
}

// run executes the plan with a log in dir. It returns an error if the run could not be
// completed; the faults that it has found are in the verdict.
func (p plan) run(ctx context.Context, dir string) (*verdict, error) {
	s := &siege{plan: p, dir: dir, addr: "127.0.0.1:0", random: newRandom(p.seed)}
	defer s.close()
	for n := 1; n <= p.kills; n++ {
		if err := s.killOne(ctx, n); err != nil {
			return nil, fmt.Errorf("kill %d: %w", n, err)
		}
	}
	if err := s.end(ctx, p.kills+1); err != nil {
		return nil, fmt.Errorf("end: %w", err)
	}
	s.close()
	stored, err := readLog(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return s.judge(stored), nil
}

func newRandom(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a run can be repeated
}

// siege is a running plan.
type siege struct {
	plan
	dir, addr string
	random    *rand.Rand
	watchers  []*watcher
	acked     []entry

	early int   // number of kills of servers that were not ready
	torn  int   // number of kills that left an incomplete write
	cut   int64 // bytes of these writes
}

// killOne starts a server that publishes, and kills it.
func (s *siege) killOne(ctx context.Context, run int) error {
	server, err := startProcess(ctx, s.dir, s.addr, s.work(run))
	if err != nil {
		return err
	}
	err = s.letPublish(ctx, server, run)
	if killed := server.Kill(); err == nil {
		err = killed
	}
	if err != nil {
		return err
	}
	s.acked = append(s.acked, server.acked...)
	return s.inspect()
}

// work returns the work of a server. Publishers with keys continue after the newest
// acknowledged event, so they may publish one again that was stored.
func (s *siege) work(run int) work {
	w := work{run: run, publishers: s.publishers, next: make([]int, s.keyed), forgetful: s.forgetful}
	for i := range w.next {
		w.next[i] = 1
	}
	for _, a := range s.acked {
		if a.mark.keyed() {
			i := a.mark.Publisher - s.publishers - 1
			w.next[i] = max(w.next[i], a.mark.Number+1)
		}
	}
	return w
}

// letPublish waits until it is time to kill the server.
func (s *siege) letPublish(ctx context.Context, server *process, run int) error {
	if run == 1 { // clients start with an empty log, so they receive all of it
		if err := server.Wait(ctx); err != nil {
			return err
		}
		s.addr = server.addr
		if err := s.startWatchers(ctx); err != nil {
			return err
		}
	}
	if err := server.Tell(publishCommand); err != nil {
		return err
	}
	if run > 1 && s.random.IntN(earlyOneIn) == 0 {
		err := sleep(ctx, time.Duration(s.random.Int64N(int64(earlyWithin))))
		if !server.IsReady() {
			s.early++
		}
		return err
	}
	if err := server.Wait(ctx); err != nil {
		return err
	}
	return sleep(ctx, killAfter+time.Duration(s.random.Int64N(int64(killBefore-killAfter))))
}

func (s *siege) startWatchers(ctx context.Context) error {
	for number := range s.clients {
		w, err := startWatcher(ctx, s.addr, number)
		if err != nil {
			return fmt.Errorf("client %d: %w", number, err)
		}
		s.watchers = append(s.watchers, w)
	}
	return nil
}

// inspect checks the files that the killed server has left.
func (s *siege) inspect() error {
	report, err := filelog.Check(s.dir)
	if err != nil {
		return err
	}
	if report.Cut > 0 {
		s.torn++
		s.cut += report.Cut
	}
	return report.Err()
}

// end starts a server that publishes the last event, waits until every client has received
// it, and kills that server too.
func (s *siege) end(ctx context.Context, run int) error {
	server, err := startProcess(ctx, s.dir, s.addr, s.work(run))
	if err != nil {
		return err
	}
	err = s.waitForEnd(ctx, server)
	if killed := server.Kill(); err == nil {
		err = killed
	}
	s.acked = append(s.acked, server.acked...)
	return err
}

func (s *siege) waitForEnd(ctx context.Context, server *process) error {
	if err := server.Tell(endCommand); err != nil {
		return err
	}
	for number, w := range s.watchers {
		if err := w.wait(ctx); err != nil {
			return fmt.Errorf("client %d: %w", number, err)
		}
	}
	return nil
}

func (s *siege) close() {
	for _, w := range s.watchers {
		w.close()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
