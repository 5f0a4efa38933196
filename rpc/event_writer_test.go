//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// An event that cannot be sent fails the stream, whatever the handler does with the error.
func TestEventsThatCannotBeSent(t *testing.T) {
	type mail struct {
		Address string `json:"address" validate:"email"`
		More    any    `json:"more"`
	}
	mails := rpc.DefineEvents[rpc.Void, mail, rpc.Void]("mails")
	for name, test := range map[string]struct {
		event     rpc.Event[mail]
		code      rpc.Code
		onlyWires bool
	}{
		"validation": {rpc.Event[mail]{Data: mail{Address: "nobody"}}, "EVENT_ITERATOR_VALIDATION_FAILED", false},
		"id":         {rpc.Event[mail]{Data: mail{Address: "a@b.c"}, Meta: rpc.EventMeta{ID: "a\nb"}}, rpc.CodeInternalServerError, false},
		"retry":      {rpc.Event[mail]{Data: mail{Address: "a@b.c"}, Meta: rpc.EventMeta{Retry: -1}}, rpc.CodeInternalServerError, false},
		"comment":    {rpc.Event[mail]{Data: mail{Address: "a@b.c"}, Meta: rpc.EventMeta{Comments: []string{"a\rb"}}}, rpc.CodeInternalServerError, false},
		"type":       {rpc.Event[mail]{Data: mail{Address: "a@b.c", More: func() {}}}, rpc.CodeInternalServerError, true},
		"W12 a file": {rpc.Event[mail]{Data: mail{Address: "a@b.c", More: &value.File{}}}, rpc.CodeInternalServerError, true},
		"channel":    {rpc.Event[mail]{Data: mail{Address: "a@b.c", More: make(chan int)}}, rpc.CodeInternalServerError, true},
	} {
		t.Run(name, func(t *testing.T) {
			everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
				var sent, again error
				var ended bool
				c := connect(mails.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[mail]) (rpc.Void, error) {
					sent = w.SendEvent(test.event)
					again = w.Send(mail{Address: "fine@b.c"})
					ended = ctx.Err() != nil
					return rpc.Void{}, nil
				}))
				if _, local := c.(*rpc.Router); local && test.onlyWires {
					return
				}
				events, err := mails.Call(t.Context(), c, rpc.Void{})
				require.NoError(t, err)
				all, err := readAll(events)
				require.Empty(t, all)
				require.Equal(t, test.code, rpc.CodeOf(err))
				require.Error(t, sent)
				require.Equal(t, sent, again)
				require.True(t, ended)
				require.Equal(t, test.event.Meta.Validate() != nil, errors.Is(sent, rpc.ErrEventMeta))
			})
		})
	}
}

func TestReturnValuesThatCannotBeSent(t *testing.T) {
	type mail struct {
		Address string `json:"address" validate:"email"`
		More    any    `json:"more"`
	}
	mails := rpc.DefineEvents[string, rpc.Void, mail]("mails")
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		c := connect(mails.Handler(func(_ context.Context, in string, _ *rpc.EventWriter[rpc.Void]) (mail, error) {
			if in == "type" {
				return mail{Address: "a@b.c", More: func() {}}, nil
			}
			return mail{Address: in}, nil
		}))
		events, err := mails.Call(t.Context(), c, "nobody")
		require.NoError(t, err)
		_, err = readAll(events)
		require.Equal(t, rpc.Code("EVENT_ITERATOR_VALIDATION_FAILED"), rpc.CodeOf(err))
		if _, local := c.(*rpc.Router); local {
			return
		}
		events, err = mails.Call(t.Context(), c, "type")
		require.NoError(t, err)
		_, err = readAll(events)
		require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(err))
	})
}

// An EventWriter may be used by many goroutines, and no longer than the handler runs.
func TestEventWriterIsShared(t *testing.T) {
	numbers := rpc.DefineEvents[rpc.Void, int, rpc.Void]("numbers")
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		var kept *rpc.EventWriter[int]
		c := connect(numbers.Handler(func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
			var senders sync.WaitGroup
			for n := range 10 {
				senders.Go(func() {
					for i := range 10 {
						if err := w.Send(10*n + i); err != nil {
							t.Error(err)
						}
					}
				})
			}
			senders.Wait()
			kept = w
			return rpc.Void{}, nil
		}))
		events, err := numbers.Call(t.Context(), c, rpc.Void{})
		require.NoError(t, err)
		seen := map[int]bool{}
		for n, err := range events.All() {
			require.NoError(t, err)
			require.False(t, seen[n])
			seen[n] = true
		}
		require.Len(t, seen, 100)
		require.ErrorContains(t, kept.Send(1), "send event")
	})
}

// A Send that waits for another one does not outlive the handler's context.
func TestSendsThatWaitEndWithTheContext(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		numbers := rpc.DefineEvents[rpc.Void, string, rpc.Void]("numbers")
		failed := make(chan error, 2)
		events, err := numbers.Call(t.Context(), connect(numbers.Handler(
			func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[string]) (rpc.Void, error) {
				var senders sync.WaitGroup
				for range cap(failed) {
					senders.Go(func() {
						var err error
						for err == nil {
							err = w.Send(strings.Repeat("x", 100_000))
							time.Sleep(time.Millisecond)
						}
						failed <- err
					})
				}
				senders.Wait()
				return rpc.Void{}, nil
			})), rpc.Void{})
		require.NoError(t, err)
		for _, err := range events.All() {
			require.NoError(t, err)
			break
		}
		time.AfterFunc(time.Second/100, func() { _ = events.Close() })
		for range cap(failed) {
			require.ErrorIs(t, <-failed, context.Canceled)
		}
	})
}

// Errors that callers do not get are logged. That a caller has stopped is not logged.
func TestEventsAreLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	o := &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	stream := rpc.DefineEvents[string, string, rpc.Void]("stream")
	h := rpc.NewHandler(rpc.NewRouter(stream.Handler(func(ctx context.Context, how string, _ *rpc.EventWriter[string]) (rpc.Void, error) {
		switch how {
		case "panic":
			panic("the reason")
		case "ended":
			return rpc.Void{}, ctx.Err()
		}
		return rpc.Void{}, errors.New("the reason")
	})), o)
	for how, want := range map[string]string{"panic": `msg="handler panicked" path=stream panic="the reason"`, "error": `msg="call failed" path=stream err="the reason"`} {
		log.Reset()
		post(h, "/stream", `{"json":"`+how+`"}`)
		require.Contains(t, log.String(), want)
	}
}
