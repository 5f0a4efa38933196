package durableobject

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// maxBusCalls is how many calls of the application's bus may run at the same time,
	// including those that never return.
	maxBusCalls = 256
	// busTimeout is the timeout of calls of the bus, except for Kept, which may take longer.
	busTimeout = 2 * time.Second
)

// guardedBus wraps a bus of the application. Each call runs on a separate goroutine. If it panics or
// ends its goroutine, its caller receives an error; if it ignores the end of its context, its caller
// does not wait for it. count and wait may be called with a nil pointer.
type guardedBus struct {
	bus eventlog.Bus

	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when running falls to 0; nil if nobody waits for that
}

// guardBus returns nil for a nil bus.
func guardBus(bus eventlog.Bus) *guardedBus {
	if bus == nil {
		return nil
	}
	return &guardedBus{bus: bus}
}

// begin counts a call. It returns false if there are too many.
func (g *guardedBus) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running >= maxBusCalls {
		return false
	}
	g.running++
	return true
}

func (g *guardedBus) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running--; g.running == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *guardedBus) count() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// wait returns when no call is running.
func (g *guardedBus) wait() {
	if g == nil {
		return
	}
	g.mu.Lock()
	if g.running == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	<-idle
}

// busResult is the result of a call of a bus.
type busResult[T any] struct {
	value T
	err   error
}

// onBus runs a call of a bus, and returns its result or, if ctx ends first, the cause of ctx. If the
// call succeeds after that, late is called with its result, unless late is nil.
func onBus[T any](ctx context.Context, g *guardedBus, call func() (T, error), late func(T)) (T, error) {
	var zero T
	if !g.begin() {
		return zero, fmt.Errorf("%w: %d calls of the bus have not returned", eventlog.ErrUnavailable, maxBusCalls)
	}
	results := make(chan busResult[T])
	go func() {
		defer g.end()
		r := busResult[T]{err: errEndedGoroutine}
		defer func() {
			select {
			case results <- r:
			case <-ctx.Done():
				if r.err == nil && late != nil {
					late(r.value)
				}
			}
		}()
		r.err = try(func() (err error) {
			r.value, err = call()
			return err
		})
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	}
}

// do is onBus for a call without a result.
func (g *guardedBus) do(ctx context.Context, call func() error) error {
	_, err := onBus(ctx, g, func() (struct{}, error) { return struct{}{}, call() }, nil)
	return err
}

// Broadcast implements [eventlog.Bus].
func (g *guardedBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	return g.do(ctx, func() error { return g.bus.Broadcast(ctx, topic, data) })
}

// Listen implements [eventlog.Bus]. stop waits for that of the bus for busTimeout.
func (g *guardedBus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	end, err := onBus(ctx, g, func() (func(), error) { return g.bus.Listen(ctx, topic, fn) }, func(end func()) {
		_ = try(func() error { // the caller has not received it
			end()
			return nil
		})
	})
	if err != nil || end == nil {
		return func() {}, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
		defer cancel()
		_ = g.do(ctx, func() error { // there is nothing left to be done
			end()
			return nil
		})
	}, nil
}

// Keep implements [eventlog.Bus].
func (g *guardedBus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return g.do(ctx, func() error { return g.bus.Keep(ctx, key, value, ttl) })
}

// Kept implements [eventlog.Bus].
func (g *guardedBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	return onBus(ctx, g, func() (map[string][]byte, error) { return g.bus.Kept(ctx, prefix) }, nil)
}

// KeptVersion implements [eventlog.Versioned], as far as the bus does.
func (g *guardedBus) KeptVersion(ctx context.Context) (uint64, error) {
	return onBus(ctx, g, func() (uint64, error) { return eventlog.KeptVersion(ctx, g.bus) }, nil)
}
