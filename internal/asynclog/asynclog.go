// Package asynclog protects code that logs from the slog.Handler of an application, which
// may block, panic, or call back into the library.
package asynclog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxQueued is the number of records that may wait for a slow handler. Further ones are
// dropped and counted.
const maxQueued = 1024

// New returns a logger that passes its records to l in order, on a separate goroutine, and
// their queue. The goroutine runs only while records wait. Logging never blocks, except
// that for a record below slog.LevelWarn the handler of l is asked whether it is enabled.
// If the handler panics or calls runtime.Goexit, the record is dropped.
func New(l *slog.Logger) (*slog.Logger, *Queue) {
	q := &Queue{}
	if l.Handler() == slog.DiscardHandler {
		return l, q
	}
	return slog.New(&handler{guard: guard{l.Handler()}, queue: q}), q
}

// Guard returns a logger that logs to l at once and ignores a panic of its handler.
func Guard(l *slog.Logger) *slog.Logger {
	if l.Handler() == slog.DiscardHandler {
		return l
	}
	return slog.New(guard{l.Handler()})
}

// guard is a handler that ignores the panics of another one.
type guard struct{ next slog.Handler }

func (g guard) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer ignorePanic()
	return g.next.Enabled(ctx, level)
}

func (g guard) Handle(ctx context.Context, r slog.Record) error {
	defer ignorePanic()
	return g.next.Handle(ctx, r)
}

func (g guard) WithAttrs(attrs []slog.Attr) slog.Handler { return guard{g.next.WithAttrs(attrs)} }
func (g guard) WithGroup(name string) slog.Handler       { return guard{g.next.WithGroup(name)} }

func ignorePanic() { _ = recover() }

// handler adds records to a queue for another handler.
type handler struct {
	guard

	queue *Queue
}

// Enabled returns true for records from slog.LevelWarn on without asking the other handler:
// they are logged where no code of the application may run.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.guard.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	h.queue.add(entry{h.guard, context.WithoutCancel(ctx), r.Clone()})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{guard{h.next.WithAttrs(attrs)}, h.queue}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{guard{h.next.WithGroup(name)}, h.queue}
}

// entry is a record that waits for its handler.
type entry struct {
	to     guard
	ctx    context.Context //nolint:containedctx // for its values, which belong to the record
	record slog.Record
}

func (e entry) handle() {
	if e.to.Enabled(e.ctx, e.record.Level) {
		_ = e.to.Handle(e.ctx, e.record) // there is nowhere else to report it
	}
}

// Queue has the records that wait for a handler.
type Queue struct {
	// mu guards the fields below. idle is not nil while a goroutine handles records. The
	// goroutine closes it when the queue is empty.
	mu      sync.Mutex
	entries []entry
	dropped int
	idle    chan struct{}
}

// Wait returns when every record that was logged has been handled, or when ctx ends.
func (q *Queue) Wait(ctx context.Context) {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (q *Queue) add(e entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) >= maxQueued {
		q.dropped++
		return
	}
	q.entries = append(q.entries, e)
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.run(q.idle)
	}
}

// run handles records until none is left. If a handler calls runtime.Goexit, another
// goroutine continues.
func (q *Queue) run(idle chan struct{}) {
	var entries []entry // taken from the queue, not handled yet
	ended := false
	defer func() {
		if !ended {
			q.mu.Lock()
			q.entries = append(entries, q.entries...)
			q.mu.Unlock()
			go q.run(idle)
		}
	}()
	for {
		q.mu.Lock()
		dropped := q.dropped
		entries = q.entries
		q.entries, q.dropped = nil, 0
		if ended = len(entries) == 0; ended {
			q.idle = nil
			close(idle)
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		last := entries[len(entries)-1]
		for len(entries) > 0 {
			next := entries[0]
			entries = entries[1:]
			next.handle()
		}
		if dropped > 0 {
			last.record = slog.NewRecord(time.Now(), slog.LevelWarn, "log records were dropped", 0)
			last.record.AddAttrs(slog.Int("count", dropped))
			last.handle()
		}
	}
}
