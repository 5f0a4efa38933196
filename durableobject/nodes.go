package durableobject

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// topicNodes is the topic that the nodes of a namespace listen to.
	topicNodes = "nodes"

	// beatInterval is how often a node sends a beat and reads the revocations.
	beatInterval = 2500 * time.Millisecond
	// readTimeout is the timeout of reading the revocations. Together with beatInterval it is
	// less than maxBusSilence, so that clients are not refused because the bus is slow.
	readTimeout = 5 * time.Second
	// maxBusSilence is the maximum age of the revocations that a node has read. If they are
	// older, it refuses all clients.
	maxBusSilence = 10 * time.Second
)

// nodes connects a namespace with those of other processes, its nodes, over a bus.
type nodes struct {
	base  *base
	bus   *guardedBus // nil if there are no other nodes and nothing is kept
	alone bool        // there are no other nodes
	neighbours

	// handlers are for messages, by kind, and must not block. They and the functions below are
	// set before the first task; these are nil without presence.
	handlers    map[string]func(from string, data json.RawMessage)
	onListening func()
	onGone      func(node string, since time.Time)
	beatData    func() any

	// syncedAt is when the last successful reading began, and failedAt when a reading last
	// failed, in nanoseconds since began. 0 means never.
	syncedAt, failedAt atomic.Int64
	kept               keptReader // belongs to the running reading

	mu       sync.Mutex
	reading  *reading  // the running reading, or nil
	stop     func()    // stops the listener; nil before it was started
	since    time.Time // when the listener was started
	finished bool
}

// reading is a run of reading the revocations, on a separate goroutine. Several callers may wait for
// the same one; it does not end when a caller's context does.
type reading struct {
	done chan struct{} // closed when err is set
	err  error
}

func newNodes(b *base, shared bool) *nodes {
	bus := b.options.Bus
	onlyKeeps := bus == nil && !shared
	if bus == nil && b.options.Log != nil {
		bus = eventlog.BusOf(b.options.Log)
	}
	n := &nodes{
		base: b, bus: guardBus(bus), alone: onlyKeeps || bus == nil, neighbours: newNeighbours(nodeName()),
		handlers: map[string]func(string, json.RawMessage){},
	}
	if bus == nil && shared {
		b.logger.Warn("the log is shared but has no bus: Disconnect, Revoke and presence are about this process only; set Options.Bus")
	}
	n.handlers[kindHello] = func(from string, data json.RawMessage) {
		n.soon(func() { n.send(n.beat(kindBeat)) })
		if heard := n.handlers[kindBeat]; heard != nil {
			heard(from, data)
		}
	}
	n.kept = newKeptReader(n.bus, b.logger)
	return n
}

// nodeName returns a unique name that operators can recognize.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return host + "-" + rand.Text()[:8]
}

// elapsed returns the time on the monotonic clock, never 0.
func (n *nodes) elapsed() int64 { return max(int64(time.Since(n.began)), 1) }

// task runs periodically. It sends a beat, reads the revocations, and forgets dead nodes.
func (n *nodes) task(ctx context.Context) error {
	wasCut := !n.connected()
	var err error
	if n.listening() { // first, since a slow read must not make the node look silent
		err = n.broadcast(ctx, n.beat(kindBeat))
	}
	err = cmp.Or(n.sync(ctx), err)
	n.bury(wasCut)
	return err
}

// bury forgets the nodes that have been silent for long, unless this node cannot receive messages
// now or could not until now.
func (n *nodes) bury(wasCut bool) {
	if !n.connected() {
		return
	}
	for name, heard := range n.silent(wasCut) {
		n.base.logger.Warn("another node is silent", "node", name)
		n.gone(name, heard)
	}
}

func (n *nodes) gone(name string, since time.Time) {
	if n.forget(name) && n.onGone != nil {
		n.onGone(name, since)
	}
}

// beat returns a message that shows that the node is alive.
func (n *nodes) beat(kind string) message {
	m := message{Kind: kind}
	if n.beatData != nil {
		m.Data, _ = json.Marshal(n.beatData()) //nolint:errchkjson // numbers cannot fail
	}
	return m
}

// ready returns an error if the node has not read the revocations within maxBusSilence.
func (n *nodes) ready(ctx context.Context) error {
	if n.bus == nil {
		return nil
	}
	if at := n.syncedAt.Load(); at > 0 && (n.alone || n.elapsed()-at < int64(maxBusSilence)) {
		return nil
	}
	if failed := n.failedAt.Load(); failed > 0 && n.elapsed()-failed < int64(time.Second) {
		return eventlog.ErrUnavailable
	}
	return n.sync(ctx)
}

// connected reports whether the node has reached the bus within maxBusSilence.
func (n *nodes) connected() bool {
	return n.alone || n.elapsed()-n.syncedAt.Load() < int64(maxBusSilence)
}

// sync starts the listener, if it is not running, and reads the revocations, which takes no longer
// than readTimeout.
func (n *nodes) sync(ctx context.Context) error {
	if n.bus == nil {
		return nil
	}
	r := n.join()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// join returns the running reading, or starts one.
func (n *nodes) join() *reading {
	n.mu.Lock()
	r, running := n.reading, n.reading != nil
	if !running {
		r = &reading{done: make(chan struct{})}
		n.reading = r
	}
	n.mu.Unlock()
	if !running && !n.soon(func() { n.end(r, n.read()) }) {
		n.end(r, ErrClosed)
	}
	return r
}

// end passes the result of a reading to its callers.
func (n *nodes) end(r *reading, err error) {
	n.mu.Lock()
	n.reading = nil
	n.mu.Unlock()
	r.err = err
	close(r.done)
}

func (n *nodes) read() error {
	ctx, cancel := context.WithTimeout(n.base.ctx, readTimeout)
	defer cancel()
	began := n.elapsed()
	err := n.listen(ctx)
	if err != nil {
		err = fmt.Errorf("listen: %w", err)
	} else {
		err = n.kept.read(ctx)
	}
	if err != nil {
		n.failedAt.Store(n.elapsed())
		if errors.Is(err, context.DeadlineExceeded) { // the bus hangs
			err = fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
		}
		return err
	}
	n.syncedAt.Store(began) // later revocations may not have been read
	return nil
}

// listen starts the listener for messages of other nodes, once. Only the running reading calls it.
func (n *nodes) listen(ctx context.Context) error {
	if n.alone || n.listening() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	stop, err := n.bus.Listen(ctx, topicNodes, n.receive)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.stop, n.since = stop, time.Now()
	finished := n.finished
	n.mu.Unlock()
	if finished {
		stop()
		return ErrClosed
	}
	if n.onListening != nil {
		n.onListening()
	}
	return n.broadcast(ctx, n.beat(kindHello))
}

func (n *nodes) listening() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stop != nil
}

// isNew reports whether the node began to listen so recently that there may be others which
// it has not heard.
func (n *nodes) isNew() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.since) < beatInterval
}

// close notifies the other nodes that this one has shut down, and stops the listener.
func (n *nodes) close() {
	n.mu.Lock()
	stop := n.stop
	n.finished = true
	n.mu.Unlock()
	if stop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	err := n.broadcast(ctx, message{Kind: kindBye})
	stop()
	if err != nil && !errors.Is(err, eventlog.ErrClosed) {
		n.base.logger.Warn("shutdown not announced to other nodes", "err", err)
	}
}

// broadcast sends a message to the other nodes, unless there are none.
func (n *nodes) broadcast(ctx context.Context, m message) error {
	if n.alone {
		return nil
	}
	m.From, m.Born = n.name, n.began.UnixNano()
	text, err := encodeJSON(m) // without HTML escapes, which would change the size of claims
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	return n.bus.Broadcast(ctx, topicNodes, text)
}

// soon runs a function on a new goroutine, unless the namespace is shutting down, and reports
// whether it does. It is used because functions that the bus calls must not block.
func (n *nodes) soon(fn func()) bool {
	if !n.base.enter() {
		return false
	}
	go func() {
		defer n.base.users.Done()
		fn()
	}()
	return true
}

// send broadcasts a message, and logs a failure.
func (n *nodes) send(m message) {
	if err := n.broadcast(n.base.ctx, m); err != nil && !isClosing(err) {
		n.base.logger.Warn("message to other nodes not sent", "kind", m.Kind, "err", err)
	}
}

// receive is called by the bus.
func (n *nodes) receive(data []byte) {
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		n.base.logger.Warn("bad message of another node", "err", err)
		return
	}
	if m.From == "" || m.Kind == "" { // not a message of a node
		n.base.logger.Warn("message without a sender or a kind")
		return
	}
	if m.From == n.name || m.To != "" && m.To != n.name {
		return
	}
	if m.Kind == kindBye {
		n.gone(m.From, time.Now())
		return
	}
	n.hear(m.From, m.Born)
	if handle := n.handlers[m.Kind]; handle != nil { // a newer version may send others
		handle(m.From, m.Data)
	}
}

// decode decodes the data of a message of another node into v. It logs a failure, and reports
// whether it succeeded.
func (n *nodes) decode(kind, from string, data json.RawMessage, v any) bool {
	err := json.Unmarshal(data, v)
	if err != nil {
		n.base.logger.Warn("bad message of another node", "kind", kind, "node", from, "err", err)
	}
	return err == nil
}
