package socket

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/wheel"
)

// Pool is a fixed set of goroutines that write to the connections, and a wheel for their
// timeouts. The zero Pool is not usable: see [NewPool].
type Pool struct {
	start   time.Time
	ping    time.Duration
	writers []*writer
	next    atomic.Uint32
	wheel   *wheel.Wheel
	wg      sync.WaitGroup // the writers, and the goroutines of slow connections
}

// NewPool starts n writers, or one for each processor that Go uses if n is 0. A connection
// that has been silent for the duration ping is sent a ping frame, and is closed if it
// stays silent for that long again. If ping is 0, no connection is pinged.
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

// Close stops the writers and the goroutines of slow connections, and waits for them. The
// connections must be closed first.
func (p *Pool) Close() {
	p.wheel.Close()
	for _, w := range p.writers {
		w.close()
	}
	p.wg.Wait()
}

// Traffic returns the number of events and bytes that the pool's connections have been
// given to send so far.
func (p *Pool) Traffic() (events, bytes uint64) {
	for _, w := range p.writers {
		events += w.traffic.events.Load()
		bytes += w.traffic.bytes.Load()
	}
	return events, bytes
}

// Size returns the number of writers.
func (p *Pool) Size() int { return len(p.writers) }

// assign returns the number of the writer for a new connection. It spreads connections
// evenly.
func (p *Pool) assign() int { return int(p.next.Add(1)) % len(p.writers) }

// Task is a function that a writer runs between writes to find connections that have
// something to send, where waking each of them would take the caller too long.
type Task struct {
	writer *writer
	queued atomic.Bool
	find   func(flush func(*Conn))
}

// NewTask returns a task for the writer with the given number. find is called on the
// writer's goroutine, at least once after each Wake, and must not block; flush sends what a
// connection's source has.
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

// job is an element of a writer's queue: a Conn or a Task.
type job interface{ run(w *writer) }

// writer writes for the connections that are assigned to it.
type writer struct {
	wake  chan struct{}
	batch Batch  // used only by the writer's goroutine
	trier *trier // used only by the writer's goroutine

	events, bytes int // used only by the writer's goroutine: sent, not yet added to traffic

	// mu guards queue and closed. A job is in queue at most once: its queued flag is set
	// before it is added and cleared when it runs.
	mu     sync.Mutex
	queue  []job
	closed bool

	traffic traffic
}

// traffic counts what a writer's connections have been given to send. Each writer has its
// own, in its own cache lines, so that counting does not slow down the others.
type traffic struct {
	_             [64]byte
	events, bytes atomic.Uint64
	_             [64]byte
}

func (t *traffic) add(events, bytes int) {
	t.events.Add(uint64(events))
	t.bytes.Add(uint64(bytes))
}

// count counts a batch on the writer's goroutine; addTraffic later adds it to the traffic.
func (w *writer) count(b *Batch) {
	w.events += b.Events
	w.bytes += len(b.Own) + len(b.Shared)
}

// addTraffic adds what was counted to the traffic. It is called once for all jobs of a wake-up,
// since atomic additions cost as much as a small event.
func (w *writer) addTraffic() {
	if w.bytes > 0 {
		w.traffic.add(w.events, w.bytes)
		w.events, w.bytes = 0, 0
	}
}

// push adds a job. It reports false if the writer is closed.
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
		w.addTraffic()
		if closed {
			return
		}
	}
}

// answers reports whether the first job is a connection, which has an answer to send.
// Requests tend to arrive together, so others are probably about to be ready: their
// handlers should run first, so that one write sends all answers.
func (w *writer) answers() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return false
	}
	_, ok := w.queue[0].(*Conn)
	return ok
}

// flush sends at once what a connection has, instead of when its job runs.
func (w *writer) flush(c *Conn) {
	c.dirty.Store(true)
	c.flush(w)
}
