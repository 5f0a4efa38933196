package rpc

import (
	"context"
	"fmt"
	"strings"
)

// call runs a procedure for a caller in this process.
func (r *Router) call(ctx context.Context, call *Call) (any, error) {
	input, err := claimInput(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	out, err := r.Serve(ctx, call)
	run, ok := out.(*eventRun)
	if err != nil || !ok {
		input.stop()
		return out, err
	}
	out, s, wanted := wantedStream(call)
	if !wanted {
		input.stop()
		return nil, fmt.Errorf("rpc: call %s: %w", strings.Join(call.Path, "."), errUnexpectedStream)
	}
	s.source = startLocal(s.life, run)
	return out, nil
}

// localSource gives the events of a handler in this process.
type localSource struct {
	life   context.Context
	cancel context.CancelCauseFunc // of the handler
	items  chan eventItem
	ended  chan struct{} // closed when the handler has returned
}

func startLocal(life context.Context, run *eventRun) *localSource {
	ctx, cancel := context.WithCancelCause(life)
	s := &localSource{life: life, cancel: cancel, items: make(chan eventItem), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		run.run(ctx, localSink{ctx, s.items})
	}()
	return s
}

func (s *localSource) next() eventItem {
	if s.life.Err() == nil {
		select {
		case item := <-s.items:
			return item
		case <-s.life.Done():
		}
	}
	return eventItem{err: fmt.Errorf("rpc: read events: %w", withCause(s.life, context.Cause(s.life)))}
}

func (s *localSource) close() {
	s.cancel(errStreamClosed)
	<-s.ended
}

// localSink hands events to a localSource as they are, one by one.
type localSink struct {
	ctx   context.Context
	items chan<- eventItem
}

func (s localSink) message(value any, meta EventMeta) error {
	if err := meta.Validate(); err != nil {
		return err
	}
	return s.put(eventItem{value: value, meta: meta})
}

func (s localSink) end(result any, err error) {
	_ = s.put(eventItem{value: result, done: err == nil, err: err}) // fails if nobody reads any more
}

func (s localSink) put(item eventItem) error {
	select {
	case s.items <- item:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}
