package durableobject

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A newHub may get other objects, whose newHub may get others again. That must not
// lead back to an object that is being made: its maker would wait for itself. The
// context that newHub is called with names the object that it makes. A Get with
// another context is found by its goroutine, unless newHub has started that.

// making is one run of newHub.
type making struct {
	waits []*channel // the objects that newHub asks for now; guarded by makings.mu
}

type makingKey struct{}

// makings is about all namespaces, as a newHub may get objects of another one. mu also
// guards making.waits and channel.maker.
var makings = struct {
	mu   sync.Mutex
	here map[string]*making // the innermost run on each goroutine
}{here: map[string]*making{}}

// makingOf returns the run of newHub that ctx was made for, or else the one that the
// calling goroutine is in, nil outside of one.
func makingOf(ctx context.Context) *making {
	if m, ok := ctx.Value(makingKey{}).(*making); ok {
		return m
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	if len(makings.here) == 0 {
		return nil
	}
	return makings.here[goroutine()]
}

// goroutine returns the name of the calling goroutine, as it stands in stack traces.
func goroutine() string {
	var trace [64]byte
	name, _, _ := strings.Cut(string(trace[:runtime.Stack(trace[:], false)]), " [")
	return name
}

// makeHub makes the hub of ch, once. It fails with [ErrRecursive] where that would
// wait for itself.
func (ch *channel) makeHub(ctx context.Context) error {
	if ch.hubOnce.succeeded() {
		return nil
	}
	parent := makingOf(ctx)
	if err := parent.wait(ch); err != nil {
		return err
	}
	defer parent.endWait(ch)
	return ch.hubOnce.do(ctx, func() error {
		if !ch.core.enter() { // or Shutdown would not wait for it, and never call OnEvicted
			return ErrClosed
		}
		defer ch.core.users.Done()
		m := &making{}
		defer ch.makeBy(m)()
		return ch.core.hook("newHub", ch.name, func() (err error) {
			ch.hub, err = ch.core.newHub(context.WithValue(ctx, makingKey{}, m), ch.name)
			return err
		})
	})
}

// makeBy notes that m makes the hub of ch on this goroutine, until the returned
// function is called.
func (ch *channel) makeBy(m *making) (end func()) {
	name := goroutine()
	makings.mu.Lock()
	defer makings.mu.Unlock()
	outer := makings.here[name]
	ch.maker, makings.here[name] = m, m
	return func() {
		makings.mu.Lock()
		defer makings.mu.Unlock()
		ch.maker = nil
		if makings.here[name] = outer; outer == nil {
			delete(makings.here, name)
		}
	}
}

// wait notes that the newHub of m asks for ch, if that can end.
func (m *making) wait(ch *channel) error {
	if m == nil {
		return nil
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	if m.awaitedBy(ch, map[*channel]bool{}) {
		return fmt.Errorf("%w: %q", ErrRecursive, ch.name)
	}
	m.waits = append(m.waits, ch)
	return nil
}

func (m *making) endWait(ch *channel) {
	if m == nil {
		return
	}
	makings.mu.Lock()
	defer makings.mu.Unlock()
	i := slices.Index(m.waits, ch)
	m.waits = slices.Delete(m.waits, i, i+1)
}

// awaitedBy reports whether the hub of ch is made by m, or by a newHub that waits for
// what m makes. It is called with makings.mu held.
func (m *making) awaitedBy(ch *channel, seen map[*channel]bool) bool {
	if seen[ch] || ch.maker == nil {
		return false
	}
	seen[ch] = true
	if ch.maker == m {
		return true
	}
	return slices.ContainsFunc(ch.maker.waits, func(next *channel) bool { return m.awaitedBy(next, seen) })
}
