package rpc

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// Unlimited as [Retry.Max] tries until the call succeeds or its context ends.
const Unlimited = math.MaxInt

// defaultRetryDelay is oRPC's.
const defaultRetryDelay = 2 * time.Second

// Retry is a [CallOption] that calls again when a call fails: oRPC's client
// retry plugin. The zero Retry calls once. A context that has ended ends it, also
// during the pause between two tries; then the last error is returned. A call whose
// input is a stream of events is made once. All tries of a call carry one idempotency
// key, see [WithIdempotencyKey].
type Retry struct {
	// Max is how many tries may follow the first one.
	Max int
	// Delay returns the pause before a try; attempt is 1 for the first retry. Nil is 2 s,
	// or for a stream of events the pause that the server has requested.
	Delay func(attempt int, err error) time.Duration
	// If reports whether to try again after err. Nil is after every error but those
	// that a further try cannot change: an [*Error] with a status from 400 to 499,
	// except 408, 425 and 429. oRPC repeats these, too.
	If func(err error) bool
	// OnRetry is called before each further try. The function that it returns, if not
	// nil, is called after that try and receives whether it succeeded.
	OnRetry func(attempt int, err error) func(success bool)
}

// around does not even try once if the context has ended.
func (r Retry) around(send CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (any, error) {
		if ctx.Err() != nil {
			return nil, callError(ctx, call, context.Cause(ctx))
		}
		out, err := send(ctx, call)
		if _, streams := streamOf(call.Input); r.Max <= 0 || streams {
			return out, err // a stream cannot be sent again
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

// tries are those of one call.
type tries struct {
	Retry
	send   CallFunc
	call   *Call
	made   int          // after the first one
	stream *StreamError // why a stream must be opened again, nil if there was none
}

// more tries again after err, until that succeeds or no further try is allowed.
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
	e, ok := findError(err)
	if !ok {
		return true
	}
	switch status := ToError(e).Status; status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status < 400 || status > 499
	}
}

// reopen tries to go on with a stream that has failed.
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
