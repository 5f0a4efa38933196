package main

import (
	"errors"
	"sync"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
)

// subscribe opens an iterator with a procedure, until the check ends.
func subscribe[In any](
	t *T, procedure durableiterator.Contract[In, event], in In, o client.Options, opts ...rpc.CallOption,
) *listener {
	l := listen(t, &o)
	it, err := client.Subscribe(t, t.link(o), procedure, in, opts...)
	t.ok(err)
	l.begin(it)
	return l
}

// dial opens an iterator with tokens from a function.
func dial(t *T, source client.TokenFunc, changes ...func(*client.Options)) *listener {
	o := t.options(changes...)
	l := listen(t, &o)
	it, err := client.Dial[event](t, source, &o)
	t.ok(err)
	l.begin(it)
	return l
}

// listener is an iterator with the states that it was in.
type listener struct {
	*client.Iterator[event]
	t *T

	mu     sync.Mutex // guards the fields below
	states []client.State
	causes []error // the error of each state
}

// listen returns a listener that records the states of the iterator.
func listen(t *T, o *client.Options) *listener {
	l := &listener{t: t}
	o.OnStateChange = func(s client.State, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.states, l.causes = append(l.states, s), append(l.causes, err)
	}
	return l
}

func (l *listener) begin(it *client.Iterator[event]) {
	l.Iterator = it
	l.t.cleanup(func() { _ = it.Close() }) // always returns nil
}

// lost returns why connections were lost, one error for each.
func (l *listener) lost() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost []error
	for i, s := range l.states {
		if s == client.StateWaiting {
			lost = append(lost, l.causes[i])
		}
	}
	return lost
}

// connections returns how often the iterator has become live.
func (l *listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.states {
		if s == client.StateLive {
			n++
		}
	}
	return n
}

// down waits until the connection is lost.
func (l *listener) down() {
	l.t.until("the loss of the connection", func() bool { return l.State() != client.StateLive })
}

// next reads an event.
func (l *listener) next() rpc.Event[event] {
	e, err := l.take()
	l.t.ok(err)
	return e
}

var errEnded = errors.New("the iterator has ended")

// take reads an event, or a gap.
func (l *listener) take() (rpc.Event[event], error) {
	for e, err := range l.Events() {
		return e, err
	}
	return rpc.Event[event]{}, errEnded
}

// expect reads events, which must have these messages.
func (l *listener) expect(messages ...string) {
	for i, want := range messages {
		got := l.next().Data.Message
		l.t.assertf(got == want, "event %d is %s, not %s", i+1, shortened(want), shortened(got))
	}
}

// readTo reads up to a message.
func (l *listener) readTo(message string) bool {
	for e, err := range l.All() {
		if err != nil {
			return false
		}
		if e.Message == message {
			return true
		}
	}
	return false
}
