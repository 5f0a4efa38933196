//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// Streams as servers send them.
const (
	one          = "event: message\nid: 1\ndata: {\"json\":1}\n\n"
	two          = "event: message\nid: 2\ndata: {\"json\":2}\n\n"
	threeNoID    = "event: message\ndata: {\"json\":3}\n\n"
	doneWithFour = "event: done\ndata: {\"json\":4}\n\n"
	unavailable  = "event: error\ndata: {\"json\":{\"defined\":false,\"code\":\"SERVICE_UNAVAILABLE\",\"status\":503,\"message\":\"later\"}}\n\n"
	cutOff       = "event: mess"
)

var numbers = rpc.DefineEvents[rpc.Void, int, int]("numbers")

// data returns the values of events.
func data[T any](events []rpc.Event[T]) []T {
	var all []T
	for _, e := range events {
		all = append(all, e.Data)
	}
	return all
}

func TestEventsAreRetried(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []string
		opts    []rpc.CallOption
		events  []int
		code    rpc.Code // of the failure
		asked   []string // the last event ids of all tries
		pause   time.Duration
	}{
		"CR-010 not by default": {
			answers: []string{one + unavailable, two},
			events:  []int{1}, code: rpc.CodeServiceUnavailable, asked: []string{""},
		},
		"CR-011 up to the number of tries in all": {
			answers: []string{one + unavailable, two + unavailable, threeNoID + unavailable, one},
			opts:    []rpc.CallOption{rpc.WithRetry(2)},
			events:  []int{1, 2, 3}, code: rpc.CodeServiceUnavailable, asked: []string{"", "1", "2"}, pause: 4 * time.Second,
		},
		"CR-012 not behind the end": {
			answers: []string{one + doneWithFour, two},
			opts:    []rpc.CallOption{rpc.WithRetry(9)},
			events:  []int{1}, asked: []string{""},
		},
		"CR-013 behind the last event": {
			answers: []string{cutOff, one + threeNoID + cutOff, two + doneWithFour},
			opts:    []rpc.CallOption{rpc.WithRetry(2), rpc.WithLastEventID("0")},
			events:  []int{1, 3, 2}, asked: []string{"0", "0", "1"}, pause: 4 * time.Second,
		},
		"CR-014 the metadata of an error count": {
			answers: []string{one + "id: 7\nretry: 500\n" + unavailable, doneWithFour},
			opts:    []rpc.CallOption{rpc.WithRetry(1)},
			events:  []int{1}, asked: []string{"", "7"}, pause: 500 * time.Millisecond,
		},
		"CR-015 the delay of the last event that has one": {
			answers: []string{"retry: 100\n" + one + two + cutOff, cutOff, doneWithFour},
			opts:    []rpc.CallOption{rpc.WithRetry(2)},
			events:  []int{1, 2}, asked: []string{"", "2", "2"}, pause: 200 * time.Millisecond,
		},
		"W30 no delay is no wish": {
			answers: []string{"retry: 0\n" + one + cutOff, doneWithFour},
			opts:    []rpc.CallOption{rpc.WithRetry(1)},
			events:  []int{1}, asked: []string{"", "1"}, pause: 2 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s := &scripted{answers: test.answers}
				events, err := numbers.Call(t.Context(), s.link(), rpc.Void{}, test.opts...)
				require.NoError(t, err)
				all, err := readAll(events)
				require.Equal(t, test.code, rpc.CodeOf(err))
				require.Equal(t, test.events, data(all))
				require.Equal(t, test.asked, s.lastIDs)
				require.Equal(t, test.pause, time.Since(start))
				if test.code == "" && strings.Contains(test.answers[len(s.lastIDs)-1], doneWithFour) {
					result, err := events.Result()
					require.NoError(t, err)
					require.Equal(t, 4, result)
				}
				all, err = readAll(events)
				require.NoError(t, err, "it is done")
				require.Empty(t, all)
			})
		})
	}
}

// CR-011: the tries to open a stream and those to continue it are counted together.
func TestTriesOfEventsAreCountedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		link := (&scripted{answers: []string{one + unavailable, two + unavailable, doneWithFour}}).link()
		caller := rpc.NewCaller(func(ctx context.Context, call *rpc.Call) (any, error) {
			tries++
			if tries%2 == 1 {
				return nil, &rpc.Error{Code: rpc.CodeServiceUnavailable}
			}
			return link.Call(ctx, call)
		})
		events, err := numbers.Call(t.Context(), caller, rpc.Void{}, rpc.WithRetry(4))
		require.NoError(t, err)
		all, err := readAll(events)
		require.Equal(t, []int{1, 2}, data(all))
		require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(err))
		require.Equal(t, 5, tries)
	})
}

// CR-015, CR-016: the functions of a retry get the last event id of the stream.
func TestRetryOfEventsIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []rpc.StreamError
		var succeeded []bool
		look := func(err error) {
			var failed *rpc.StreamError
			require.ErrorAs(t, err, &failed)
			seen = append(seen, rpc.StreamError{LastEventID: failed.LastEventID, Retry: failed.Retry})
		}
		s := &scripted{answers: []string{"retry: 100\n" + one + unavailable, two + unavailable}}
		events, err := numbers.Call(t.Context(), s.link(), rpc.Void{}, rpc.Retry{
			Max:   rpc.Unlimited,
			If:    func(err error) bool { look(err); return rpc.CodeOf(err) == rpc.CodeServiceUnavailable },
			Delay: func(attempt int, err error) time.Duration { look(err); return time.Duration(attempt) * time.Minute },
			OnRetry: func(_ int, err error) func(bool) {
				look(err)
				return func(success bool) { succeeded = append(succeeded, success) }
			},
		})
		require.NoError(t, err)
		start := time.Now()
		all, err := readAll(events)
		require.Equal(t, []int{1, 2}, data(all))
		require.ErrorIs(t, err, http.ErrServerClosed)
		require.Equal(t, 3*time.Minute, time.Since(start))
		require.Equal(t, []bool{true, false}, succeeded)
		first := rpc.StreamError{LastEventID: "1", Retry: 100 * time.Millisecond}
		second := rpc.StreamError{LastEventID: "2", Retry: 100 * time.Millisecond}
		require.Equal(t, []rpc.StreamError{first, first, first, second, second, second, second}, seen)
	})
}

// CR-017: a value cannot replace a stream.
func TestRetryOfEventsGivesNoEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		network := roundTrip(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return reply(200, "text/event-stream", one+cutOff), nil
			}
			return reply(200, "application/json", `{"json":1}`), nil
		})
		link := rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()})
		events, err := numbers.Call(t.Context(), link, rpc.Void{}, rpc.WithRetry(1))
		require.NoError(t, err)
		all, err := readAll(events)
		require.Len(t, all, 1)
		require.ErrorContains(t, err, "not a stream of events")
	})
}

// CR-016: the end of the context ends the pause, and the last error is given.
func TestRetryOfEventsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		s := &scripted{answers: []string{one + unavailable, one + unavailable}}
		events, err := numbers.Call(ctx, s.link(), rpc.Void{}, rpc.WithRetry(rpc.Unlimited))
		require.NoError(t, err)
		_, err = readAll(events)
		require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(err))
		require.Equal(t, time.Second, time.Since(start))
		require.Len(t, s.lastIDs, 1)
	})
}

// CR-018, CR-019: Close ends a running retry, and the stream that it opens. Unlike in oRPC,
// the waiting read does not fail, because the reader itself has called Close.
func TestRetryOfEventsEndsWithClose(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"during the pause": time.Second,
		"during the try":   2500 * time.Millisecond,
		"behind the try":   5 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
				var opened, ended atomic.Int32
				stubborn := rpc.DefineEvents[rpc.Void, int, rpc.Void]("stubborn")
				c := connect(stubborn.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
					if opened.Add(1) == 1 {
						return rpc.Void{}, errors.New("the first one fails")
					}
					err := w.Send(1)
					<-ctx.Done()
					ended.Add(1)
					return rpc.Void{}, err
				}, func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
					if opened.Load() == 1 {
						time.Sleep(time.Second) // the second one takes its time
					}
					return next(ctx, call)
				}))
				events, err := stubborn.Call(t.Context(), c, rpc.Void{}, rpc.WithRetry(1))
				require.NoError(t, err)
				time.AfterFunc(after, func() { _ = events.Close() })
				all, err := readAll(events)
				require.NoError(t, err)
				require.LessOrEqual(t, len(all), 1)
				_, err = events.Result()
				require.ErrorIs(t, err, rpc.ErrNoResult)
				time.Sleep(time.Minute)
				require.Equal(t, opened.Load()-1, ended.Load(), "every handler has ended")
			})
		})
	}
}

// A connection that is lost is one of the failures after which a stream goes on.
func TestEventsGoOnOverConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		resuming := rpc.DefineEvents[rpc.Void, int, rpc.Void]("resuming")
		handle := routed(rpc.NewRouter(resuming.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
			call, _ := rpc.CallOf(ctx)
			for n := len(call.LastEventID) + 1; n <= 4; n++ {
				if err := w.SendEvent(rpc.Event[int]{Data: n, Meta: rpc.EventMeta{ID: strings.Repeat("i", n)}}); err != nil {
					return rpc.Void{}, err
				}
				time.Sleep(time.Second)
			}
			return rpc.Void{}, nil
		})))
		client, _ := connect(t, transport.ServerPeerOptions{Handle: handle}, transport.ClientPeerOptions{})
		events, err := resuming.Call(t.Context(), client, rpc.Void{}, rpc.WithRetry(1))
		require.NoError(t, err)
		time.AfterFunc(1500*time.Millisecond, func() { client.Disconnect(errors.New("cut")) })
		all, err := readAll(events)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 3, 4}, data(all))
	})
}
