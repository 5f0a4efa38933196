package socket

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/wheel"
)

// Pool is what connections share: a fixed set of goroutines that write to them, and a
// wheel for their timeouts. The zero Pool is not usable: see [NewPool].
type Pool struct {
	start   time.Time
	ping    time.Duration
	writers []*writer
	next    atomic.Uint32
	wheel   *wheel.Wheel
	wg      sync.WaitGroup // the writers, and the goroutines of slow connections
}

// NewPool starts n writers; 0 is one for each processor that Go uses. A connection
// that was silent for ping is sent one, and ended if it stays silent for as long
// again. 0 is never.
func NewPool(n int, ping time.Duration) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{start: time.Now(), ping: ping, wheel: wheel.New()}
	for range n {
		w := &writer{wake: make(chan struct{}, 1), trier: newTrier()}
		p.writers = append(p.writers, w)
		p.wg.Go(w.run)
	}
	return p
}

// Close stops the goroutines, and those of slow connections, and waits for them. The
// connections must have been closed before.
func (p *Pool) Close() {
	p.wheel.Close()
	for _, w := range p.writers {
		w.close()
	}
	p.wg.Wait()
}

// Traffic returns how many events and bytes the pool's connections were given to send, ever.
func (p *Pool) Traffic() (events, bytes uint64) {
	for _, w := range p.writers {
		events += w.traffic.events.Load()
		bytes += w.traffic.bytes.Load()
	}
	return events, bytes
}

// Size returns the number of writers.
func (p *Pool) Size() int { return len(p.writers) }

// assign spreads connections over the writers.
func (p *Pool) assign() int { return int(p.next.Add(1)) % len(p.writers) }

// Task is a function that a writer runs between writes. It finds the writer's connections
// that have something to send, where waking each of them would take the caller too long.
type Task struct {
	writer *writer
	queued atomic.Bool
	find   func(flush func(*Conn))
}

// NewTask makes a task for one of the writers, counted from 0. find is called on the
// writer's goroutine, once or more for each Wake, and must not block; flush sends
// what a connection's source has.
func (p *Pool) NewTask(writer int, find func(flush func(*Conn))) *Task {
	return &Task{writer: p.writers[writer], find: find}
}

// Wake makes the writer run the task soon.
func (t *Task) Wake() {
	if t.queued.CompareAndSwap(false, true) {
		t.writer.push(t)
	}
}

func (t *Task) run(w *writer) {
	t.queued.Store(false)
	t.find(w.flush)
}

// job is what waits in a writer's queue: a Conn or a Task.
type job interface{ run(w *writer) }

// writer writes for the connections that are assigned to it.
type writer struct {
	wake  chan struct{}
	batch Batch  // of its goroutine
	trier *trier // of its goroutine

	events, bytes int // of its goroutine: sent and not in traffic yet

	// mu guards queue and closed. A job is in queue at most once: its queued flag
	// is set before it is put there and cleared when it runs.
	mu     sync.Mutex
	queue  []job
	closed bool

	traffic traffic
}

// traffic counts what a writer's connections were given to send. Writers do not share it, so
// that counting takes no memory from the cache of another one.
type traffic struct {
	_             [64]byte
	events, bytes atomic.Uint64
	_             [64]byte
}

func (t *traffic) add(events, bytes int) {
	t.events.Add(uint64(events))
	t.bytes.Add(uint64(bytes))
}

// count counts a batch, on the writer's goroutine, until reckon adds it to the traffic.
func (w *writer) count(b *Batch) {
	w.events += b.Events
	w.bytes += len(b.Own) + len(b.Shared)
}

// reckon adds what was counted to the traffic: once for all that a writer had to do, since
// atomic additions cost as much as a small event.
func (w *writer) reckon() {
	if w.bytes > 0 {
		w.traffic.add(w.events, w.bytes)
		w.events, w.bytes = 0, 0
	}
}

// push adds a job, and reports false if the writer was closed.
func (w *writer) push(j job) bool {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	w.queue = append(w.queue, j)
	first := len(w.queue) == 1
	w.mu.Unlock()
	if first {
		w.signal()
	}
	return true
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
}

func (w *writer) run() {
	w.batch.Own = make([]byte, 0, BatchSize+BatchSize/4)
	var jobs []job
	for range w.wake {
		if w.answers() {
			runtime.Gosched()
		}
		w.mu.Lock()
		jobs, w.queue = w.queue, jobs[:0]
		closed := w.closed
		w.mu.Unlock()
		for i, j := range jobs {
			jobs[i] = nil
			j.run(w)
		}
		w.reckon()
		if closed {
			return
		}
	}
}

// answers reports whether the first job is a connection, which has an answer to send.
// Others are about to be ready, as requests come together: their handlers run first, so
// that one write sends all.
func (w *writer) answers() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return false
	}
	_, ok := w.queue[0].(*Conn)
	return ok
}

// flush sends what a connection has at once, instead of when its job runs.
func (w *writer) flush(c *Conn) {
	c.dirty.Store(true)
	c.flush(w)
}
