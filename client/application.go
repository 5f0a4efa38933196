package client

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/goroutine"
	"github.com/go-orpc/durable-iterator/rpc"
)

// application knows the goroutines of an iterator on which functions of the application
// run. A Close that one of these calls must not wait for it.
type application struct {
	logger *slog.Logger

	mu         sync.Mutex
	goroutines map[string]int // how many runs there are on each, one inside the other
}

// errEndedGoroutine is what becomes of an iterator or an attempt whose goroutine a function
// of the application has ended, as the functions of a test do that fails.
var errEndedGoroutine = errors.New("client: a function of the application has ended its goroutine")

// run calls fn, in which functions of the application run. A panic is logged, and returned
// as an *rpc.PanicError. It does not return if one calls runtime.Goexit, which is logged.
func run[T any](a *application, fn func() (T, error)) (out T, err error) {
	name := goroutine.Name()
	a.count(name, 1)
	err = errEndedGoroutine
	defer func() {
		a.count(name, -1)
		if p, ok := errors.AsType[*rpc.PanicError](err); ok {
			a.logger.Error("function of the application panicked", "err", p, "stack", string(p.Stack))
		} else if errors.Is(err, errEndedGoroutine) {
			a.logger.Error("function of the application failed", "err", err)
		}
	}()
	defer bridge.RecoverTo(&err)
	return fn()
}

func (a *application) count(name string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.goroutines == nil {
		a.goroutines = map[string]int{}
	}
	if a.goroutines[name] += n; a.goroutines[name] == 0 {
		delete(a.goroutines, name)
	}
}

// calls reports whether the caller is a function of the application that the iterator
// has called.
func (a *application) calls() bool {
	name := goroutine.Name()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.goroutines[name] > 0
}
