package rpc

import (
	"iter"
)

// Events is a stream of events: oRPC's Event Iterator. It is what a call of an
// [EventProcedure] returns, and the input of a procedure whose input type it is, which
// [NewEvents] makes.
//
//	events, err := Progress.Call(ctx, link, job)
//	if err != nil {
//		return err
//	}
//	defer events.Close()
//	for step, err := range events.All() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(step)
//	}
//	report, err := events.Result()
//
// The events and the return value of an input are validated as they are read; a
// handler gets the error of one that is refused from the loop, and returns it. The
// input is closed when the handler has returned.
//
// All methods are safe for concurrent use. Loops that range at the same time share
// the events: each goes to one of them.
//
// Over HTTP a server waits for a slow reader. Over a socket it cannot, as the calls
// of one socket share it: a stream of which too much is unread, 1024 events or
// 4 MiB, fails with [ErrOverflow].
type Events[T, R any] struct{ core *eventStream }

// stream returns nil for a nil e, which is no input.
func (e *Events[T, R]) stream() *eventStream {
	if e == nil {
		return nil
	}
	return e.core
}

// All gives the events in order and waits for further ones. See [Events.Events].
func (e *Events[T, R]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for event, err := range e.Events() {
			if !yield(event.Data, err) {
				return
			}
		}
	}
}

// Events gives the events with their metadata, in order, and waits for further
// ones. The loop ends with the stream. If the stream has failed, a [*StreamError]
// comes first, once: of the server, of the connection, or of the context of the
// call. After Close the loop just ends.
//
// Breaking out of the loop does not close the stream: ranging again goes on with
// the next event.
func (e *Events[T, R]) Events() iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		for {
			item, ok := e.core.next()
			if !ok {
				return
			}
			event := Event[T]{Meta: item.meta}
			err := item.err
			if err == nil {
				if event.Data, err = e.read(item.value); err != nil {
					err = e.core.fail(err)
				}
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

func (e *Events[T, R]) read(value any) (T, error) {
	event, err := typed[T](value)
	if err != nil {
		return event, e.core.undecodable("event", err)
	}
	if e.core.checkEvent != nil {
		err = e.core.checkEvent(event)
	}
	return event, err
}

// Result gives the return value of a stream that a loop has read to its end. It
// does not wait: before that, and after Close, the error wraps [ErrNoResult]. Of a
// stream that has failed it gives the error.
func (e *Events[T, R]) Result() (R, error) {
	var zero R
	value, err := e.core.outcome()
	if err != nil {
		return zero, err
	}
	result, err := typed[R](value)
	if err != nil {
		return zero, e.core.undecodable("return value", err)
	}
	if e.core.checkResult != nil {
		if err := e.core.checkResult(result); err != nil {
			return zero, err
		}
	}
	return result, nil
}

// LastEventID gives the id of the last event that was yielded and had one. A call
// [WithLastEventID] goes on behind it, if the procedure can do so.
func (e *Events[T, R]) LastEventID() string { return e.core.lastEventID() }

// Close ends the stream on both sides: loops end, and the server is told to stop.
// It does not wait for a handler on another machine; one in this process it does
// wait for. Closing again, or after the end, does nothing. It is not for the
// functions of a [Retry], which a waiting loop calls. The error is always nil.
func (e *Events[T, R]) Close() error {
	e.core.close()
	return nil
}
