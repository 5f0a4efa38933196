package client

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/goroutine"
	"github.com/go-orpc/durable-iterator/rpc"
)

// application tracks the goroutines of an iterator on which functions of the application
// run, because Close must not wait for a function that calls it.
type application struct {
	logger *slog.Logger

	mu         sync.Mutex
	goroutines map[string]int // number of nested runs on each
}

// errEndedGoroutine is the error of an attempt, or of an iterator, if a function of the
// application has ended its goroutine, as the functions of a failing test do.
var errEndedGoroutine = errors.New("client: a function of the application has ended its goroutine")

// run calls fn, which may call functions of the application. A panic is logged, and returned
// as an *rpc.PanicError. If one calls runtime.Goexit, it is logged and run does not return.
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
