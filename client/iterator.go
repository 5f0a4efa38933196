package client

import (
	"context"
	"errors"
	"iter"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Iterator returns the events of a channel, values of type T, and calls the methods of
// its durable object: oRPC's ClientDurableIterator. It keeps one socket open, and
// replaces it when it is lost, until its context ends or it is closed.
//
// It is a [rpc.Caller], to call methods with their contracts:
//
//	text, err := chat.Echo.Call(ctx, it, chat.EchoInput{Text: "Hello"})
//
// All methods are safe for concurrent use. Loops that range at the same time share
// the events: each goes to one of them.
type Iterator[T any] struct{ core *core }

// All returns the events, each once and in order, and waits for further ones. Any error
// ends the loop.
//
// Where events are missing, Options.OnGap is called on the goroutine that ranges, after
// the events before the gap and before those after it, and the loop goes on. Without
// OnGap the loop ends with the [*GapError]; ranging again goes on after it. All other
// errors are as in [Iterator.Events].
func (it *Iterator[T]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for event, err := range it.Events() {
			gap, isGap := errors.AsType[*GapError](err)
			if isGap && it.core.options.OnGap != nil {
				it.core.options.OnGap(it.core.life, gap)
				continue
			}
			if !yield(event.Data, err) || err != nil {
				return
			}
		}
	}
}

// Events returns the events with their metadata, each once and in order, and waits for
// further ones.
//
// A [*GapError], with a zero event, stands in place of events that are missing, and the
// loop goes on after it. Options.OnGap is not called. Any other error ends the iterator
// and is the last: [ErrRefused], or that of the iterator's context, which ends the loop
// at once. It is returned once, to one loop. After Close the loop just ends.
//
// Breaking out of the loop does not close the iterator: ranging again goes on with the
// next event.
func (it *Iterator[T]) Events() iter.Seq2[rpc.Event[T], error] {
	return func(yield func(rpc.Event[T], error) bool) {
		for {
			next, ok, err := it.core.buffer.take()
			if !ok {
				if err != nil {
					yield(rpc.Event[T]{}, err)
				}
				return
			}
			if !yield(decode[T](it.core, next)) {
				return
			}
		}
	}
}

// decode returns an item as the application gets it.
func decode[T any](c *core, next item) (rpc.Event[T], error) {
	if next.gap != nil {
		return rpc.Event[T]{}, next.gap
	}
	event := rpc.Event[T]{Meta: next.event.Meta}
	if err := next.event.Value.Decode(&event.Data); err != nil {
		gap := c.gapOf(c.credential())(GapUnreadable, &EventError{event.Meta.ID, err})
		gap.LastEventID = next.before
		return rpc.Event[T]{}, gap
	}
	return event, nil
}

// Call calls a method over the socket, through Options.Interceptors. While there is no
// connection it waits for one, or for the end of ctx. A call that is in flight when the
// connection is lost fails with [rpc.ErrDisconnected]; it is then not known whether the
// method has run. With [rpc.WithRetry] or [rpc.Retry] the call is repeated.
//
// A method that the current token does not list is [rpc.CodeForbidden]. On an iterator
// that has ended a call fails with [ErrClosed].
func (it *Iterator[T]) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	return it.core.caller.Call(ctx, call, opts...)
}

// LastEventID returns the id of the last event that a loop has received, or a later
// position before the next one, and "" if there is none. An iterator that begins with it,
// by [rpc.WithLastEventID], goes on after that event, also in another process.
func (it *Iterator[T]) LastEventID() string { return it.core.buffer.lastEventID() }

// Token returns the payload of the current token. It must not be changed.
func (it *Iterator[T]) Token() *token.Payload { return it.core.credential().payload }

// State returns the current state.
func (it *Iterator[T]) State() State { return it.core.currentState() }

// ID returns the id by which the server knows the client.
func (it *Iterator[T]) ID() string { return it.core.id }

// Close ends the iterator: loops end at once, calls fail with [ErrClosed], and the
// socket is closed with code 1000. It returns when nothing of the iterator is running
// any more. A server that does not answer the close frame delays it by a second.
//
// Called by a function of Options or a TokenSource, on the goroutine that runs that, Close
// does not wait for anything: what is left of the iterator ends when the function returns.
// Any other Close waits for such a function, at most 3 s.
//
// Closing again does nothing. The error is always nil.
func (it *Iterator[T]) Close() error {
	it.core.close()
	return nil
}
