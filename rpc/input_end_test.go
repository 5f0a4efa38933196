//go:build !js

package rpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// PE-034: the client is notified when its events are no longer needed.
func TestInputIsNotReadToItsEnd(t *testing.T) {
	handlers := map[string]func(context.Context, countInputs) (collected, error){
		"the handler returns": func(_ context.Context, in countInputs) (collected, error) {
			for event, err := range in.All() {
				return collected{Events: []int{event.N}}, err
			}
			return collected{}, nil
		},
		"the handler closes it": func(ctx context.Context, in countInputs) (collected, error) {
			for event, err := range in.All() {
				if err != nil {
					return collected{}, err
				}
				if err := in.Close(); err != nil {
					return collected{}, err
				}
				time.Sleep(time.Second)
				return collected{Events: []int{event.N}}, ctx.Err()
			}
			return collected{}, nil
		},
		"the handler reads nothing": func(context.Context, countInputs) (collected, error) { return collected{Events: []int{1}}, nil },
	}
	for name, handle := range handlers {
		t.Run(name, func(t *testing.T) {
			everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
				t.Helper()
				c := connect(collect.Handler(handle))
				ended := make(chan error, 1)
				in := rpc.NewEvents(t.Context(), func(ctx context.Context, w *rpc.EventWriter[countEvent]) (countResult, error) {
					defer func() { ended <- context.Cause(ctx) }()
					if err := w.Send(countEvent{1}); err != nil {
						return countResult{}, err
					}
					<-ctx.Done()
					return countResult{}, ctx.Err()
				})
				out, err := collect.Call(t.Context(), c, in)
				require.NoError(t, err)
				require.Equal(t, []int{1}, out.Events)
				synctest.Wait()
				if name != "the handler reads nothing" {
					require.Error(t, <-ended)
				}
				_, err = in.Result()
				require.ErrorIs(t, err, rpc.ErrNoResult)
			})
		})
	}
}

func TestInputEndsWithTheCall(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		handlerEnded := make(chan error, 1)
		c := connect(collect.Handler(func(ctx context.Context, in countInputs) (collected, error) {
			_, err := runCollect(ctx, in)
			handlerEnded <- err
			return collected{}, err
		}))
		inputEnded := make(chan error, 1)
		in := rpc.NewEvents(t.Context(), func(ctx context.Context, w *rpc.EventWriter[countEvent]) (countResult, error) {
			err := w.Send(countEvent{1})
			<-ctx.Done()
			inputEnded <- ctx.Err()
			return countResult{}, err
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := collect.Call(ctx, c, in)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Error(t, <-handlerEnded)
		require.Error(t, <-inputEnded)
	})
}

// The stream of an output that is closed early ends the input too.
func TestInputEndsWithTheOutput(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(twice.Handler(runTwice))
		ended := make(chan struct{})
		in := rpc.NewEvents(t.Context(), func(ctx context.Context, w *rpc.EventWriter[countEvent]) (countResult, error) {
			defer close(ended)
			for n := 0; ; n++ {
				if err := w.Send(countEvent{n}); err != nil {
					return countResult{}, err
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return countResult{}, ctx.Err()
				}
			}
		})
		events, err := twice.Call(t.Context(), c, in)
		require.NoError(t, err)
		for event, err := range events.All() {
			require.NoError(t, err)
			if event.N == 4 {
				break
			}
		}
		require.NoError(t, events.Close())
		<-ended
	})
}

// panics is data whose encoding panics.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("cannot be encoded") }

// A panic while the last event of an input is encoded does not end the process.
func TestInputWhoseErrorCannotBeEncoded(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(collect.Handler(func(_ context.Context, in countInputs) (collected, error) {
			for _, err := range in.All() {
				require.Error(t, err)
			}
			_, err := in.Result()
			return collected{}, err
		}))
		in := rpc.NewEvents(t.Context(), func(context.Context, *rpc.EventWriter[countEvent]) (countResult, error) {
			return countResult{}, &rpc.Error{Code: rpc.CodeConflict, Data: panics{}}
		})
		_, err := collect.Call(t.Context(), c, in)
		require.Error(t, err)
	})
}
