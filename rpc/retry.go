package rpc

import (
	"context"
	"math"
	"time"
)

// Unlimited as [Retry.Max] tries until the call succeeds or its context ends.
const Unlimited = math.MaxInt

// defaultRetryDelay is oRPC's.
const defaultRetryDelay = 2 * time.Second

// Retry is a [CallOption] that calls again when a call fails: oRPC's client
// retry plugin. The zero Retry calls once. A context that has ended ends it, also
// during the pause between two tries; then the last error is returned.
type Retry struct {
	// Max is how many tries may follow the first one.
	Max int
	// Delay gives the pause before a try; attempt is 1 for the first retry. Nil
	// is 2 s.
	Delay func(attempt int, err error) time.Duration
	// If tells whether to try again after err. Nil is always: calls are
	// repeated whatever they failed with, as in oRPC.
	If func(err error) bool
	// OnRetry is called before each further try. What it returns, if not nil, is
	// called after that try with whether it succeeded.
	OnRetry func(attempt int, err error) func(success bool)
}

// WithRetry calls up to n more times when a call fails, 2 s apart. It is
// Retry{Max: n}.
func WithRetry(n int) CallOption { return Retry{Max: n} }

func (r Retry) applyToCall(o *callOptions) { o.retry = r }

// around does not even try once if the context has ended.
func (r Retry) around(send CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (any, error) {
		if ctx.Err() != nil {
			return nil, callError(ctx, call, context.Cause(ctx))
		}
		out, err := send(ctx, call)
		for attempt := 1; err != nil && attempt <= r.Max; attempt++ {
			if (r.If != nil && !r.If(err)) || !r.pause(ctx, attempt, err) {
				break
			}
			var done func(bool)
			if r.OnRetry != nil {
				done = r.OnRetry(attempt, err)
			}
			out, err = send(ctx, call)
			if done != nil {
				done(err == nil)
			}
		}
		return out, err
	}
}

// pause tells whether the pause ran to its end.
func (r Retry) pause(ctx context.Context, attempt int, err error) bool {
	delay := defaultRetryDelay
	if r.Delay != nil {
		delay = r.Delay(attempt, err)
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
