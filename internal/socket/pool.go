package socket

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is the fixed set of goroutines that write to connections. The zero Pool is
// not usable: see NewPool.
type Pool struct {
	writers []*writer
	next    atomic.Uint32
	wg      sync.WaitGroup // the writers, and the goroutines of slow connections
}

// NewPool starts n writers; 0 is one for each processor that Go uses.
func NewPool(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{}
	for range n {
		w := &writer{wake: make(chan struct{}, 1)}
		p.writers = append(p.writers, w)
		p.wg.Go(w.run)
	}
	return p
}

// Close ends the writers and waits for them and for the goroutines of slow
// connections. The connections have to be closed before.
func (p *Pool) Close() {
	for _, w := range p.writers {
		w.close()
	}
	p.wg.Wait()
}

// assign spreads connections over the writers.
func (p *Pool) assign() *writer {
	return p.writers[int(p.next.Add(1))%len(p.writers)]
}

// writer writes for the connections that are assigned to it.
type writer struct {
	wake chan struct{}

	// mu guards queue and closed. A connection is in queue at most once: its
	// queued flag is set by whoever puts it there and cleared by run.
	mu     sync.Mutex
	queue  []*Conn
	closed bool
}

// push reports whether the writer is still there.
func (w *writer) push(c *Conn) bool {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	w.queue = append(w.queue, c)
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
	buf := make([]byte, 0, BatchSize+BatchSize/4)
	var batch []*Conn
	for range w.wake {
		w.mu.Lock()
		batch, w.queue = w.queue, batch[:0]
		closed := w.closed
		w.mu.Unlock()
		for i, c := range batch {
			batch[i] = nil
			c.queued.Store(false)
			c.flush(&buf)
		}
		if closed {
			return
		}
	}
}
