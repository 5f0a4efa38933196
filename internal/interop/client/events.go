package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// counter is the procedure count, or the method of a room of that name.
type counter = rpc.EventProcedure[countInput, numbered, total]

func httpEventChecks() []check {
	return eventChecks("http: ", func(t *T) (counter, rpc.Caller) { return count, t.link(client.Options{}) })
}

func callEventChecks() []check {
	return eventChecks("call: ", func(t *T) (counter, rpc.Caller) { return toolboxCount, t.room().subscribe(subscribeInput{}) })
}

// eventChecks returns the checks of outputs that are event iterators.
func eventChecks(prefix string, on func(*T) (counter, rpc.Caller)) []check {
	opened := func(t *T, ctx context.Context, in countInput, opts ...rpc.CallOption) *rpc.Events[numbered, total] {
		procedure, caller := on(t)
		events, err := procedure.Call(ctx, caller, in, opts...)
		t.ok(err)
		t.cleanup(func() { _ = events.Close() }) // always returns nil
		return events
	}
	prefix += "event iterator: "
	return []check{
		{name: prefix + "events, ids, retry, return value", run: func(t *T) {
			events := opened(t, t, countInput{To: 3})
			n := 0
			for e, err := range events.Events() {
				t.ok(err)
				n++
				t.equal(e.Data, numbered{n})
				t.equal(e.Meta, rpc.EventMeta{ID: fmt.Sprintf("n-%d", n), Retry: 1234 * time.Millisecond})
			}
			result, err := events.Result()
			t.ok(err)
			t.equal(result, total{3})
			t.equal(n, 3)
			t.equal(events.LastEventID(), "n-3")
		}},
		{name: prefix + "no events", run: func(t *T) { checkCount(t, opened(t, t, countInput{}), 0) }},
		{name: prefix + "500 events", run: func(t *T) { checkCount(t, opened(t, t, countInput{To: 500}), 500) }},
		{name: prefix + "failure", run: func(t *T) {
			events := opened(t, t, countInput{To: 5, FailAt: 3})
			var seen []int
			var failure error
			for e, err := range events.All() {
				if failure = err; err == nil {
					seen = append(seen, e.N)
				}
			}
			t.equal(seen, []int{1, 2})
			t.refused(failure, rpc.Error{Code: rpc.CodeConflict, Status: 409, Message: "stopped at 3"})
		}},
		{name: prefix + "early stop", run: func(t *T) {
			events := opened(t, t, countInput{To: 1000, MS: 50}) // 50 s
			for e, err := range events.All() {
				t.ok(err)
				t.equal(e.N, 1)
				break
			}
			t.ok(events.Close())
			for e, err := range events.All() {
				t.failf("after the end there is %v, %v", e, err)
			}
			_, err := events.Result()
			t.assertf(errors.Is(err, rpc.ErrNoResult), "there is no return value: %v", err)
		}},
		{name: prefix + "stop by context", run: func(t *T) {
			ctx, cancel := context.WithCancel(t)
			defer cancel()
			var last error
			for _, err := range opened(t, ctx, countInput{To: 1000, MS: 50}).All() {
				last = err
				cancel()
			}
			t.assertf(errors.Is(last, context.Canceled), "the last error of the loop is that of the context: %v", last)
		}},
		{name: prefix + "20 at once", run: func(t *T) {
			procedure, caller := on(t)
			errs := make([]error, 20)
			var loops sync.WaitGroup
			for to := range errs {
				loops.Go(func() { errs[to] = countTo(t, procedure, caller, to) })
			}
			loops.Wait()
			t.ok(errors.Join(errs...))
		}},
	}
}

// countTo reads all events of a call.
func countTo(ctx context.Context, procedure counter, caller rpc.Caller, to int) error {
	events, err := procedure.Call(ctx, caller, countInput{To: to})
	if err != nil {
		return err
	}
	return readCount(events, to)
}

func checkCount(t *T, events *rpc.Events[numbered, total], to int) { t.ok(readCount(events, to)) }

// readCount reads a whole stream, which must count up to a number.
func readCount(events *rpc.Events[numbered, total], to int) error {
	n := 0
	for e, err := range events.All() {
		if err != nil {
			return err
		}
		if n++; e.N != n {
			return fmt.Errorf("event %d has number %d", n, e.N)
		}
	}
	result, err := events.Result()
	if err != nil {
		return err
	}
	if n != to || result.Total != to {
		return fmt.Errorf("there were %d events and the return value %d, not %d", n, result.Total, to)
	}
	return nil
}
