package durableobject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/goroutine"
)

// A newHub may get other objects, whose newHub may get others in turn. This must not lead back to an
// object that is being created, because its newHub would wait for itself. The context of newHub has
// its making. A Get with another context is recognized by its goroutine, unless newHub has started
// that.

// making is a run of newHub.
type making struct {
	waits []*maker // the objects that newHub currently waits for; guarded by makings.mu
}

type makingKey struct{}

// makings is for all namespaces, because a newHub may get objects of another one. mu also guards
// making.waits and maker.run.
var makings = struct {
	mu   sync.Mutex
	here map[string]*making // the innermost run on each goroutine
}{here: map[string]*making{}}

// makingOf returns the run of newHub that ctx belongs to, or otherwise that of the calling
// goroutine, or nil.
func makingOf(ctx context.Context) *making {
	if run, ok := ctx.Value(makingKey{}).(*making); ok {
		return run
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	if len(makings.here) == 0 {
		return nil
	}
	return makings.here[goroutine.Name()]
}

// maker creates the hub of a channel, once.
type maker struct {
	once once
	run  *making // the current run of newHub, or nil; guarded by makings.mu
}

// make calls newHub unless it has succeeded before. It returns [ErrRecursive] if newHub would wait
// for itself.
func (m *maker) make(ctx context.Context, name string, newHub func(context.Context) error) error {
	if m.once.succeeded() {
		return nil
	}
	parent := makingOf(ctx)
	if !parent.wait(m) {
		return fmt.Errorf("%w: %q", ErrRecursive, name)
	}
	defer parent.endWait(m)
	return m.once.do(ctx, func() error {
		run := &making{}
		defer m.begin(run)()
		return newHub(context.WithValue(ctx, makingKey{}, run))
	})
}

// begin records that run creates the hub on this goroutine, until end is called.
func (m *maker) begin(run *making) (end func()) {
	name := goroutine.Name()
	makings.mu.Lock()
	defer makings.mu.Unlock()
	outer := makings.here[name]
	m.run, makings.here[name] = run, run
	return func() {
		makings.mu.Lock()
		defer makings.mu.Unlock()
		m.run = nil
		if makings.here[name] = outer; outer == nil {
			delete(makings.here, name)
		}
	}
}

// wait records that the newHub of r waits for m. It returns false if that would never end.
func (r *making) wait(m *maker) bool {
	if r == nil {
		return true
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	if r.awaitedBy(m, map[*maker]bool{}) {
		return false
	}
	r.waits = append(r.waits, m)
	return true
}

func (r *making) endWait(m *maker) {
	if r == nil {
		return
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	i := slices.Index(r.waits, m)
	r.waits = slices.Delete(r.waits, i, i+1)
}

// awaitedBy reports whether r creates the hub of m, or whether the newHub that creates it waits for
// the hub that r creates. It is called with makings.mu held.
func (r *making) awaitedBy(m *maker, seen map[*maker]bool) bool {
	if seen[m] || m.run == nil {
		return false
	}
	seen[m] = true
	if m.run == r {
		return true
	}
	return slices.ContainsFunc(m.run.waits, func(next *maker) bool { return r.awaitedBy(next, seen) })
}

// once runs a function for one caller at a time until it succeeds; other callers wait until their
// contexts end.
type once struct {
	mu   sync.Mutex // guards the fields; not held while fn runs
	done bool
	busy chan struct{} // closed when the current run ends
}

func (o *once) do(ctx context.Context, fn func() error) error {
	for {
		o.mu.Lock()
		if o.done {
			o.mu.Unlock()
			return nil
		}
		if o.busy == nil {
			o.busy = make(chan struct{})
			o.mu.Unlock()
			break
		}
		busy := o.busy
		o.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := errAborted // if fn panics
	defer func() {
		o.mu.Lock()
		o.done = err == nil
		close(o.busy)
		o.busy = nil
		o.mu.Unlock()
	}()
	err = fn()
	return err
}

var errAborted = errors.New("aborted")

// succeeded reports whether a run of fn has succeeded. If so, variables that fn has written may be
// read.
func (o *once) succeeded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}
