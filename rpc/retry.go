package rpc

import (
	"context"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// Unlimited is a value of [Retry.Max] with which a call is repeated until it succeeds or its context
// ends.
const Unlimited = math.MaxInt

// defaultRetryDelay is the same as oRPC's.
const defaultRetryDelay = 2 * time.Second

// Retry is a [CallOption] that repeats a call that fails. It is oRPC's client retry plugin. The zero
// Retry does not repeat calls. When the context ends, also during the pause between two tries, the
// last error is returned. A call whose input is a stream of events is not repeated. All tries of a
// call have the same idempotency key, see [WithIdempotencyKey].
type Retry struct {
	// Max is the maximum number of tries after the first one.
	Max int
	// Delay returns the pause before a try; attempt is 1 for the first retry. Nil means 2 s,
	// or for a stream of events the pause that the server has requested.
	Delay func(attempt int, err error) time.Duration
	// If reports whether to try again after err. Nil means to try again unless that cannot
	// succeed: err is an [*Error] with a status from 400 to 499 other than 408, 425 and 429,
	// the input cannot be encoded, the output cannot be decoded into the type of the caller,
	// the link or iterator of the call is closed, or the server has closed the connection of
	// two tries with code 1009, message too big. oRPC repeats all of these.
	If func(err error) bool
	// OnRetry is called before each further try. The function that it returns, if it is not
	// nil, is called after that try with whether it has succeeded.
	OnRetry func(attempt int, err error) func(success bool)
}

// around returns a CallFunc that calls send with retries. If the context has already ended, send is
// not called.
func (r Retry) around(send CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (any, error) {
		if ctx.Err() != nil {
			return nil, callError(ctx, call, context.Cause(ctx))
		}
		out, err := send(ctx, call)
		if _, streams := streamOf(call.Input); r.Max <= 0 || streams {
			return out, err // the input, a stream, cannot be sent again
		}
		t := &tries{Retry: r, send: send, call: call}
		if err != nil {
			out, err = t.more(ctx, err)
		}
		if s, ok := streamOf(out); ok {
			s.again = func(failure *StreamError) (eventSource, error) {
				return t.reopen(peer.WithValues(s.life, ctx), failure)
			}
		}
		return out, err
	}
}

// tries has the state of the tries of a call.
type tries struct {
	Retry
	send   CallFunc
	call   *Call
	made   int          // after the first one
	broken int          // connections that the call may have broken
	stream *StreamError // why a stream must be opened again, or nil
}

// more tries again after err, until a try succeeds or no further one is allowed.
func (t *tries) more(ctx context.Context, err error) (out any, _ error) {
	for err != nil && t.made < t.Max {
		if !t.again(err) || !t.pause(ctx, t.made+1, err) {
			break
		}
		t.made++
		var done func(bool)
		if t.OnRetry != nil {
			done = t.OnRetry(t.made, err)
		}
		out, err = t.send(ctx, t.call)
		if err != nil && t.stream != nil {
			err = &StreamError{Err: err, LastEventID: t.stream.LastEventID, Retry: t.stream.Retry}
		}
		if done != nil {
			done(err == nil)
		}
	}
	return out, err
}

// again reports whether a further try may succeed.
func (t *tries) again(err error) bool {
	if t.If != nil {
		return t.If(err)
	}
	if peer.IsSuspect(err) {
		t.broken++
	}
	if peer.IsFinal(err) || t.broken > 1 {
		return false
	}
	e, ok := findError(err)
	if !ok {
		return true
	}
	return peer.MayPass(ToError(e).Status)
}

// reopen tries to continue a stream that has failed.
func (t *tries) reopen(ctx context.Context, failure *StreamError) (eventSource, error) {
	t.stream = failure
	if failure.LastEventID != "" {
		t.call.LastEventID = failure.LastEventID
	}
	out, err := t.more(ctx, failure)
	if err != nil {
		return nil, err
	}
	s, ok := streamOf(out)
	if !ok {
		return nil, callError(ctx, t.call, errNoStream)
	}
	return s.source, nil
}

// pause waits before a try, and reports whether it was not interrupted.
func (t *tries) pause(ctx context.Context, attempt int, err error) bool {
	delay := defaultRetryDelay
	switch {
	case t.Delay != nil:
		delay = t.Delay(attempt, err)
	case t.stream != nil && t.stream.Retry > 0:
		delay = t.stream.Retry
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
