package client

import (
	"context"
	"errors"
	"iter"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Iterator receives the events of a channel, which are values of type T, and calls the
// methods of its durable object. It is oRPC's ClientDurableIterator. It keeps one socket open
// and reconnects when the connection is lost, until its context ends or it is closed.
//
// It is an [rpc.Caller], so that methods are called with their contracts:
//
//	text, err := chat.Echo.Call(ctx, it, chat.EchoInput{Text: "Hello"})
//
// All methods are safe for concurrent use. Loops that range at the same time share
// the events: each event is returned to one of them.
type Iterator[T any] struct{ core *core }

// All returns an iterator over the events, each once and in order, that waits for further
// ones. Any error ends the loop.
//
// If events are missing, Options.OnGap is called on the goroutine that ranges, after the
// events before the gap and before those after it, and the loop continues. Without OnGap the
// loop ends with the [*GapError]; ranging again continues after the gap. All other errors
// are as in [Iterator.Events].
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

// Events returns an iterator over the events with their metadata, each once and in order,
// that waits for further ones.
//
// If events are missing, the loop receives a zero event with a [*GapError] and continues.
// Options.OnGap is not called. Any other error is the last one and means that the iterator
// has ended: [ErrRefused], [ErrEnded], or the error of the iterator's context, after which no
// unread events are returned. It is returned only once, to one loop. After Close the loop
// ends without an error.
//
// Breaking out of the loop does not close the iterator: ranging again continues with the
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
			if !yield(decode[T](next)) {
				return
			}
		}
	}
}

// decode returns an item in the form in which the application receives it.
func decode[T any](next item) (rpc.Event[T], error) {
	if next.gap != nil {
		return rpc.Event[T]{}, next.gap
	}
	event := rpc.Event[T]{Meta: next.event.Meta}
	if err := next.event.Value.Decode(&event.Data); err != nil {
		gap := next.newGap(GapUnreadable, &EventError{event.Meta.ID, err})
		gap.LastEventID = next.before
		return rpc.Event[T]{}, gap
	}
	return event, nil
}

// Call calls a method over the socket, through Options.Interceptors. While there is no
// connection, it waits for one until ctx ends. If the connection is lost during the call, the
// error wraps [rpc.ErrDisconnected]; the method may have run or not. With [rpc.WithRetry] or
// [rpc.Retry] the call is repeated.
//
// If the current token does not allow the method, the error has [rpc.CodeForbidden]. If the
// iterator has ended, it wraps [ErrClosed].
func (it *Iterator[T]) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	return it.core.caller.Call(ctx, call, opts...)
}

// LastEventID returns the id of the last event that a loop has received, or a later
// position before the next event, or "" if there is none. An iterator that is opened with
// it, by [rpc.WithLastEventID], continues after that event, also in another process.
func (it *Iterator[T]) LastEventID() string { return it.core.buffer.lastEventID() }

// Token returns the payload of the current token. It must not be changed.
func (it *Iterator[T]) Token() *token.Payload { return it.core.credential().payload }

// State returns the current state.
func (it *Iterator[T]) State() State { return it.core.currentState() }

// ID returns the id by which the server knows the client.
func (it *Iterator[T]) ID() string { return it.core.id }

// Close ends the iterator: loops end at once, calls fail with [ErrClosed], and the socket is
// closed with code 1000. Close returns when all goroutines of the iterator have ended. If
// the server does not answer the close frame, that takes a second.
//
// If a function of Options or a TokenSource calls Close, on the goroutine on which it was
// called, Close does not wait; the iterator ends when the function returns. Any other Close
// waits for such a function for at most 3 seconds.
//
// Closing a closed iterator does nothing. The error is always nil.
func (it *Iterator[T]) Close() error {
	it.core.close()
	return nil
}
