package filelog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/keytable"
)

// request is an Append that waits for the committer.
type request struct {
	channel string
	record  *eventlog.Record
	deliver func(*eventlog.Record)
	size    int             // upper limit of its size on disk
	key     keytable.Digest // of the record's key, if it has one
	// claimed is set by the committer when it takes the request, or by the publisher
	// when it abandons the request, whichever comes first.
	claimed atomic.Bool
	done    chan error // has capacity for one result
}

// wait returns the result, or ctx's error if that comes first. over is false if the
// committer may still use the request.
func (r *request) wait(ctx context.Context) (over bool, err error) {
	select {
	case err := <-r.done:
		return true, err
	case <-ctx.Done():
	}
	r.claimed.CompareAndSwap(false, true)
	return false, ctx.Err()
}

// delivers calls deliver for a record that was stored. It recovers from a panic, which would
// end the process because it is on the goroutine of the committer.
func (r *request) delivers(logger *slog.Logger) {
	defer func() {
		if v := recover(); v != nil {
			asynclog.LogPanic(logger, v, "event log: a deliver panicked", "channel", r.channel)
		}
	}()
	if r.deliver != nil {
		r.deliver(r.record)
	}
}

// trimRequest is a Trim that waits for the committer.
type trimRequest struct {
	before time.Time
	done   chan error // has capacity for one result
}

// queue has the requests of publishers for the committer.
type queue struct {
	spare sync.Pool // of *request
	// wake is full if there may be work.
	wake chan struct{}

	// mu guards the fields below; closed may be read without it. Once closed is set,
	// nothing is added. Requests that were added before are still answered.
	mu      sync.Mutex
	appends []*request
	trims   []*trimRequest
	closed  atomic.Bool
}

// work has the requests that the committer has taken from the queue.
type work struct {
	appends []*request
	trims   []*trimRequest
	closed  bool
	more    bool // appends were left for the next batch
}

func (q *queue) request() *request {
	if r, ok := q.spare.Get().(*request); ok {
		r.claimed.Store(false)
		return r
	}
	return &request{done: make(chan error, 1)}
}

func (q *queue) append(r *request) bool {
	return q.add(func() { q.appends = append(q.appends, r) })
}

func (q *queue) trim(t *trimRequest) bool {
	return q.add(func() { q.trims = append(q.trims, t) })
}

func (q *queue) add(put func()) bool {
	q.mu.Lock()
	open := !q.closed.Load()
	if open {
		put()
	}
	q.mu.Unlock()
	q.notify()
	return open
}

// close closes the queue and reports whether it was open.
func (q *queue) close() bool {
	q.mu.Lock()
	first := q.closed.CompareAndSwap(false, true)
	q.mu.Unlock()
	q.notify()
	return first
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// batchBytes is the maximum size of a commit, unless it is a single larger record.
const batchBytes = 1 << 20

// take moves requests from the queue into w, as many as make one batch.
func (q *queue) take(w *work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.appends = w.appends[:0]
	n, bytes := 0, 0
	for ; n < len(q.appends); n++ {
		r := q.appends[n]
		if bytes += r.size; bytes > batchBytes && len(w.appends) > 0 {
			break
		}
		if r.claimed.CompareAndSwap(false, true) {
			w.appends = append(w.appends, r)
		}
	}
	rest := copy(q.appends, q.appends[n:])
	clear(q.appends[rest:])
	q.appends = q.appends[:rest]
	w.trims, q.trims = q.trims, nil
	w.closed, w.more = q.closed.Load(), rest > 0
}
