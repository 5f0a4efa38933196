package socket

import "sync"

// spares is how many goroutines of a crew are kept while there is nothing to do.
const spares = 16

// crew is the goroutines that take messages in for the connections whose readers have
// met some. Doing so takes a stack that is deeper than waiting does, and a stack that
// has grown stays so; this way a few have grown, and not one for each connection.
type crew struct {
	wg *sync.WaitGroup

	// mu guards the fields below. idle are the members that wait for a connection;
	// once closed is set none are.
	mu     sync.Mutex
	idle   []member
	closed bool
}

// member is one goroutine, which gets its connections over the channel.
type member chan *Conn

// do has some member call c.takeIn.
func (w *crew) do(c *Conn) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		w.wg.Go(func() { w.run(c) })
		return
	}
	m := w.idle[last] // whose stack is the warmest
	w.idle = w.idle[:last]
	w.mu.Unlock()
	m <- c
}

func (w *crew) run(c *Conn) {
	m := make(member, 1)
	for ok := true; ok; c, ok = <-m {
		c.takeIn()
		idle := w.rest(m) // before the reader goes on, which may be back soon
		c.busy.Done()
		if !idle {
			return
		}
	}
}

// rest makes a member idle, unless there are enough.
func (w *crew) rest(m member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) == spares {
		return false
	}
	w.idle = append(w.idle, m)
	return true
}

func (w *crew) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, m := range w.idle {
		close(m)
	}
	w.idle = nil
}
