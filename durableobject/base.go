package durableobject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// base is the part of a namespace that all others use: its options, its logger and its lifetime.
type base struct {
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	start  time.Time
	logger *slog.Logger // calls the application's handler on a separate goroutine
	logs   *asynclog.Queue

	options   Options        // with defaults and the additions of the plugins
	users     sync.WaitGroup // readers, hooks of sockets, runs of newHub, and tasks
	evictions sync.WaitGroup // of channels, with OnEvicted
	hooks     runningCode

	// mu guards closing, and the maps of channels and of sockets. Once closing is set, nothing
	// is added to channels, and to sockets only those that entered before.
	mu      sync.RWMutex
	closing bool
}

// begin starts the lifetime of a namespace.
func (b *base) begin(o Options) {
	b.options, b.start = o, time.Now()
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.logger, b.logs = asynclog.New(o.Logger)
}

// second returns the time since the whole second in which the namespace was created.
func (b *base) second() time.Duration {
	return time.Since(b.start) + time.Duration(b.start.Nanosecond())
}

// enter adds a user that Shutdown must wait for: a socket, before the client receives the response
// to its upgrade, or a call of newHub. It returns false if Shutdown has begun.
func (b *base) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closing {
		b.users.Add(1)
	}
	return !b.closing
}

// after calls fn on a separate goroutine when d has passed, unless Shutdown has begun then.
// Shutdown waits for a call that has begun. ctx ends with Shutdown.
func (b *base) after(d time.Duration, fn func(ctx context.Context)) *time.Timer {
	return time.AfterFunc(d, func() {
		if b.enter() {
			defer b.users.Done()
			fn(b.ctx)
		}
	})
}

func (b *base) isClosing() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.closing
}

// hook runs a hook of a channel's object. A panic is returned as an error with the hook's name. A hook that ends
// its goroutine with runtime.Goexit ends the caller, which must be ready for that.
func (b *base) hook(name, channel string, fn func() error) error {
	a := &activity{hook: name, channel: channel}
	b.hooks.add(a)
	returned := false
	defer func() {
		b.hooks.remove(a)
		if !returned {
			b.logger.Error("a hook failed", "hook", name, "channel", channel, "err", errEndedGoroutine)
		}
	}()
	err := try(fn)
	returned = true
	if _, panicked := errors.AsType[*rpc.PanicError](err); panicked {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// failed logs a failure of the application or the server, and returns the error to send to the
// client.
func (b *base) failed(ctx context.Context, message, channel string, err error) *rpc.Error {
	b.logger.ErrorContext(ctx, message, details(err, "channel", channel)...) //nolint:sloglint // each caller's is constant
	return rpc.Errorf(rpc.CodeInternalServerError, "Internal Server Error")
}
