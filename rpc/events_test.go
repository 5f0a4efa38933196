//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"math/big"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// SE-007, PE-014, PE-038, PE-080, PE-084, QU-002: events with metadata in order,
// then the return value, then nothing.
func TestEvents(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		events, err := count.Call(t.Context(), connect(count.Handler(runCount)), countInput{To: 3})
		require.NoError(t, err)
		require.Empty(t, events.LastEventID())
		_, err = events.Result()
		require.ErrorIs(t, err, rpc.ErrNoResult)

		all, err := readAll(events)
		require.NoError(t, err)
		require.Equal(t, counted(1, 3), all)
		require.Equal(t, "n-3", events.LastEventID())
		for range 2 {
			result, err := events.Result()
			require.NoError(t, err)
			require.Equal(t, countResult{3}, result)
			all, err = readAll(events)
			require.NoError(t, err)
			require.Empty(t, all)
			require.NoError(t, events.Close())
		}
	})
}

// PE-081, PE-085, ES-007: an error ends the stream, once.
func TestEventsThatFail(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		events, err := count.Call(t.Context(), connect(count.Handler(runCount)), countInput{To: 3, FailAt: 2})
		require.NoError(t, err)
		all, err := readAll(events)
		require.Equal(t, counted(1, 1), all)
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
		require.EqualError(t, err, "CONFLICT: stopped at 2")
		var failed *rpc.StreamError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "n-1", failed.LastEventID)
		require.Equal(t, 1234*time.Millisecond, failed.Retry)

		_, again := events.Result()
		require.Equal(t, err, again)
		all, err = readAll(events)
		require.NoError(t, err, "the error comes once")
		require.Empty(t, all)
	})
}

// SE-007, PE-040, PE-086: other errors do not reach callers over a wire.
func TestEventsHideErrors(t *testing.T) {
	declared := rpc.DefineError[int]("OUT", 410, "out of events")
	plain := rpc.DefineEvents[string, int, rpc.Void]("plain", declared)
	route := plain.Handler(func(_ context.Context, how string, w *rpc.EventWriter[int]) (rpc.Void, error) {
		if err := w.Send(1); err != nil {
			return rpc.Void{}, err
		}
		switch how {
		case "panic":
			panic("a secret")
		case "goroutine ended":
			runtime.Goexit()
		case "declared":
			return rpc.Void{}, declared.New(7)
		}
		return rpc.Void{}, errors.New("a secret")
	})
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(route)
		_, local := c.(*rpc.Router)
		for _, how := range []string{"error", "panic", "goroutine ended", "declared"} {
			events, err := plain.Call(t.Context(), c, how)
			require.NoError(t, err)
			all, err := readAll(events)
			require.Len(t, all, 1)
			require.Error(t, err)
			data, isDeclared := declared.As(err)
			require.Equal(t, how == "declared", isDeclared)
			if isDeclared {
				var e *rpc.Error
				require.ErrorAs(t, err, &e)
				require.True(t, e.Defined)
				require.Equal(t, 7, data)
				continue
			}
			require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(err))
			if !local {
				require.EqualError(t, err, "INTERNAL_SERVER_ERROR: Internal server error")
			}
		}
	})
}

// Errors of interceptors and of the input are the error of the call.
func TestEventsAreRefused(t *testing.T) {
	strict := rpc.DefineEventsIn[messageInput, int, rpc.Void](rpc.Group("group"), "strict")
	require.Equal(t, "group.strict", strict.Path())
	never := func(context.Context, messageInput, *rpc.EventWriter[int]) (rpc.Void, error) {
		panic("it must not run")
	}
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(strict.Handler(never, func(_ context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			if call.Input.(messageInput).Message == "forbidden" {
				return nil, &rpc.Error{Code: rpc.CodeForbidden}
			}
			return next(t.Context(), call)
		}))
		_, err := strict.Call(t.Context(), c, messageInput{})
		require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
		_, err = strict.Call(t.Context(), c, messageInput{Message: "forbidden"})
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		_, err = rpc.DefineEvents[rpc.Void, int, rpc.Void]("unknown").Call(t.Context(), c, rpc.Void{})
		require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
	})
}

// forever counts until its context ends, whose cause it returns.
var forever = rpc.DefineEvents[rpc.Void, int, rpc.Void]("forever")

func foreverRoute(ended chan<- error) rpc.Route {
	return forever.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
		for n := 0; ; n++ {
			if err := w.Send(n); err != nil {
				ended <- err
				return rpc.Void{}, err
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				ended <- ctx.Err()
				return rpc.Void{}, ctx.Err()
			}
		}
	})
}

// PE-015, PE-039, CR-018, ES-006, QU-005: Close stops both sides.
func TestEventsAreClosed(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		ended := make(chan error, 1)
		events, err := forever.Call(t.Context(), connect(foreverRoute(ended)), rpc.Void{})
		require.NoError(t, err)
		for n, err := range events.All() {
			require.NoError(t, err)
			if n == 2 {
				break
			}
		}
		for n, err := range events.All() { // breaking has not closed it
			require.NoError(t, err)
			require.Equal(t, 3, n)
			require.NoError(t, events.Close())
		}
		require.ErrorIs(t, <-ended, context.Canceled)
		_, err = events.Result()
		require.ErrorIs(t, err, rpc.ErrNoResult)
	})
}

func TestEventsAreClosedWhileALoopWaits(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		ended := make(chan error, 1)
		events, err := forever.Call(t.Context(), connect(foreverRoute(ended)), rpc.Void{})
		require.NoError(t, err)
		time.AfterFunc(3500*time.Millisecond, func() { _ = events.Close() })
		all, err := readAll(events)
		require.NoError(t, err)
		require.Len(t, all, 4)
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// The context of a call governs the stream, whether anyone reads it or not.
func TestEventsEndWithTheirContext(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(foreverRoute(make(chan error, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		events, err := forever.Call(ctx, c, rpc.Void{})
		require.NoError(t, err)
		all, err := readAll(events)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, all, 3)
	})
}

func TestEventsThatNobodyReadsEndWithTheirContext(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		events, err := forever.Call(ctx, connect(foreverRoute(ended)), rpc.Void{})
		require.NoError(t, err)
		for _, err := range events.All() {
			require.NoError(t, err)
			break
		}
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		_, err = readAll(events)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A deadline of an interceptor, on either side, is for the opening only.
func TestEventsOutliveTheContextsOfInterceptors(t *testing.T) {
	type key struct{}
	short := func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, "from above"), time.Second)
		defer cancel()
		return next(ctx, call)
	}
	route := forever.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
		time.Sleep(time.Minute)
		if ctx.Value(key{}) != "from above" {
			return rpc.Void{}, errors.New("the value is gone")
		}
		return rpc.Void{}, w.Send(1)
	}, short)
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(route)
		events, err := forever.Call(t.Context(), rpc.NewCaller(func(ctx context.Context, call *rpc.Call) (any, error) {
			return c.Call(ctx, call)
		}, short), rpc.Void{})
		require.NoError(t, err)
		all, err := readAll(events)
		require.NoError(t, err)
		require.Len(t, all, 1)
	})
}

func TestEventsCarryNativeTypes(t *testing.T) {
	mirror := rpc.DefineEvents[any, any, any]("mirror")
	route := mirror.Handler(func(_ context.Context, in any, w *rpc.EventWriter[any]) (any, error) {
		return in, w.Send(in)
	})
	at := time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(route)
		for _, given := range []any{nil, value.Undefined{}, "a\nb", 1.5, at, big.NewInt(7), []any{value.Undefined{}, value.Set{at}}} {
			events, err := mirror.Call(t.Context(), c, given)
			require.NoError(t, err)
			all, err := readAll(events)
			require.NoError(t, err)
			require.Equal(t, []rpc.Event[any]{{Data: given}}, all)
			result, err := events.Result()
			require.NoError(t, err)
			require.Equal(t, given, result)
		}
	})
}

// QU-004: loops that range at the same time get each event once.
func TestEventsAreShared(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		events, err := count.Call(t.Context(), connect(count.Handler(runCount)), countInput{To: 100, MS: 1})
		require.NoError(t, err)
		numbers := make(chan int, 200)
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				all, err := readAll(events)
				for _, e := range all {
					numbers <- e.Data.N
				}
				done <- err
			}()
		}
		for range cap(done) {
			require.NoError(t, <-done)
		}
		close(numbers)
		seen := map[int]int{}
		for n := range numbers {
			seen[n]++
		}
		require.Len(t, seen, 100)
		for n, times := range seen {
			require.Equal(t, 1, times, n)
		}
	})
}

func TestEventsThatCannotBeDecoded(t *testing.T) {
	texts := rpc.DefineEvents[rpc.Void, string, string]("forever")
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		ended := make(chan error, 1)
		events, err := texts.Call(t.Context(), connect(foreverRoute(ended)), rpc.Void{})
		require.NoError(t, err)
		all, err := readAll(events)
		require.Empty(t, all)
		require.ErrorContains(t, err, "decode event")
		require.Error(t, <-ended, "the server has stopped")
		_, again := events.Result()
		require.Equal(t, err, again)
	})
}

func TestResultsThatCannotBeDecoded(t *testing.T) {
	other := rpc.DefineEvents[countInput, countEvent, string]("count")
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		events, err := other.Call(t.Context(), connect(count.Handler(runCount)), countInput{To: 1})
		require.NoError(t, err)
		all, err := readAll(events)
		require.NoError(t, err)
		require.Len(t, all, 1)
		_, err = events.Result()
		require.ErrorContains(t, err, "decode return value")
	})
}

// CR-017: a value is no stream, and a stream is no value.
func TestEventsOfAnotherKind(t *testing.T) {
	asValue := rpc.Define[countInput, any]("count")
	asEvents := rpc.DefineEvents[any, any, any]("echo")
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(count.Handler(runCount), echo.Handler(func(_ context.Context, in any) (any, error) { return in, nil }))
		_, err := asValue.Call(t.Context(), c, countInput{To: 1})
		require.Error(t, err)
		_, err = asEvents.Call(t.Context(), c, 1)
		require.ErrorContains(t, err, "stream of events")
		_, err = echo.Call(t.Context(), c, 1)
		require.NoError(t, err)
	})
}

// Handlers read the values of the request, and add headers to the answer.
func TestCallOf(t *testing.T) {
	seen := rpc.Define[rpc.Void, []string]("group.seen")
	stream := rpc.DefineEvents[rpc.Void, []string, rpc.Void]("group.stream")
	look := func(ctx context.Context) []string {
		call, ok := rpc.CallOf(ctx)
		if !ok {
			return nil
		}
		call.ResponseHeader.Set("X-Out", "from the handler")
		return append(call.Path, call.LastEventID, call.Header.Get("X-In"))
	}
	want := []string{"group", "seen", "7", "in"}
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(
			seen.Handler(func(ctx context.Context, _ rpc.Void) ([]string, error) { return look(ctx), nil }),
			stream.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[[]string]) (rpc.Void, error) {
				return rpc.Void{}, w.Send(look(ctx))
			}, rpc.OnStart(func(_ context.Context, call *rpc.Call) { call.ResponseHeader.Set("X-Out", "from an interceptor") })),
		)
		var header http.Header
		opts := []rpc.CallOption{rpc.WithHeader("X-In", "in"), rpc.WithLastEventID("7")}
		out, err := seen.Call(t.Context(), c, rpc.Void{}, append(opts, rpc.WithResponseHeader(&header))...)
		require.NoError(t, err)
		require.Equal(t, want, out)
		require.Equal(t, []string{"from the handler"}, header["X-Out"])

		events, err := stream.Call(t.Context(), c, rpc.Void{}, append(opts, rpc.WithResponseHeader(&header))...)
		require.NoError(t, err)
		all, err := readAll(events)
		require.NoError(t, err)
		want := []string{"group", "stream", "7", "in"}
		require.Equal(t, want, all[0].Data)
		synctest.Wait()
		require.Equal(t, []string{"from an interceptor"}, header["X-Out"])
	})
	_, ok := rpc.CallOf(t.Context())
	require.False(t, ok)
}
