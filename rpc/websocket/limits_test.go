//go:build !js

package websocket_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// atOnce counts how many goroutines run something at a time.
type atOnce struct{ running, most, ever atomic.Int64 }

func (a *atOnce) enter() (leave func()) {
	a.ever.Add(1)
	n := a.running.Add(1)
	for m := a.most.Load(); n > m; m = a.most.Load() {
		if a.most.CompareAndSwap(m, n) {
			break
		}
	}
	return func() { a.running.Add(-1) }
}

// slowText is a string that takes a second to decode and to encode. It counts how many are
// decoded and encoded at a time.
type slowText string

var decoding, encoding *atOnce // of the test that runs

func (*slowText) UnmarshalJSON([]byte) error {
	defer decoding.enter()()
	time.Sleep(time.Second)
	return nil
}

func (slowText) MarshalJSON() ([]byte, error) {
	defer encoding.enter()()
	time.Sleep(time.Second)
	return []byte(`"` + strings.Repeat("x", 1000) + `"`), nil
}

// sendAll sends text messages until one cannot be sent, and reports how many were.
func sendAll(conn *coder.Conn, messages ...string) (sent int) {
	for _, m := range messages {
		if conn.Write(context.Background(), coder.MessageText, []byte(m)) != nil {
			break
		}
		sent++
	}
	return sent
}

func requests(path string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(`{"i":%d,"p":{"u":"/%s","b":{"json":"x"}}}`, i, path))
	}
	return list
}

// On one connection one input is decoded at a time, concurrently with calls, and only a few
// answers are encoded for which there is no room yet.
//
//nolint:paralleltest // counts
func TestOneInputIsDecodedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decoding, encoding = new(atOnce), new(atOnce)
		echo := rpc.Define[slowText, slowText]("echo")
		var running atOnce
		_, client := hostRouter(t, rpc.NewRouter(echo.Handler(func(context.Context, slowText) (slowText, error) {
			defer running.enter()()
			time.Sleep(time.Minute)
			return "", nil
		})), &websocket.HandlerOptions{MaxUnsentBytes: 4000, StallTimeout: time.Hour, PingInterval: time.Hour})
		const calls = 20
		conns := []*coder.Conn{dialRaw(t, client), dialRaw(t, client)}
		for _, conn := range conns {
			require.Equal(t, calls, sendAll(conn, requests("echo", calls)...))
		}
		time.Sleep(30 * time.Second)
		require.EqualValues(t, 2*calls, decoding.ever.Load())
		require.EqualValues(t, len(conns), decoding.most.Load(), "one for each connection")
		require.EqualValues(t, 2*calls, running.most.Load())
		time.Sleep(10 * time.Minute)
		require.Less(t, encoding.ever.Load(), int64(2*calls), "answers that have no room are not encoded")
		require.LessOrEqual(t, encoding.most.Load(), int64(2*4))
		for _, conn := range conns {
			for range calls {
				_, _, err := conn.Read(t.Context())
				require.NoError(t, err)
			}
		}
	})
}

// The same holds for errors and the return values of streams.
//
//nolint:paralleltest // counts
func TestErrorsAreEncodedInTurn(t *testing.T) {
	fail := rpc.Define[rpc.Void, rpc.Void]("fail")
	end := rpc.DefineEvents[rpc.Void, int, slowText]("end")
	failEvents := rpc.DefineEvents[rpc.Void, int, rpc.Void]("failEvents")
	failure := &rpc.Error{Code: rpc.CodeConflict, Data: slowText("")}
	router := rpc.NewRouter(
		fail.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { return rpc.Void{}, failure }),
		end.Handler(func(context.Context, rpc.Void, *rpc.EventWriter[int]) (slowText, error) { return "", nil }),
		failEvents.Handler(func(context.Context, rpc.Void, *rpc.EventWriter[int]) (rpc.Void, error) { return rpc.Void{}, failure }),
	)
	for _, path := range []string{"fail", "end", "failEvents"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				encoding = new(atOnce)
				_, client := hostRouter(t, router, &websocket.HandlerOptions{MaxStreams: 100})
				conn := dialRaw(t, client)
				const calls = 20
				for i := range calls {
					message := fmt.Sprintf(`{"i":%d,"p":{"u":"/%s","b":{}}}`, i, path)
					require.NoError(t, conn.Write(t.Context(), coder.MessageText, []byte(message)))
				}
				for answered := 0; answered < calls; {
					_, message, err := conn.Read(t.Context())
					require.NoError(t, err)
					if strings.Contains(string(message), "xxx") {
						answered++
					}
				}
				require.EqualValues(t, calls, encoding.ever.Load())
				require.LessOrEqual(t, encoding.most.Load(), int64(4))
			})
		})
	}
}

func TestHandlerMaxStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ticks := rpc.DefineEvents[rpc.Void, int, rpc.Void]("ticks")
		_, client := hostRouter(t, rpc.NewRouter(ticks.Handler(func(ctx context.Context, _ rpc.Void, _ *rpc.EventWriter[int]) (rpc.Void, error) {
			<-ctx.Done()
			return rpc.Void{}, ctx.Err()
		})), &websocket.HandlerOptions{MaxStreams: 3, MaxCalls: 1})
		link := dial(t, client, websocket.LinkOptions{})
		var open []*rpc.Events[int, rpc.Void]
		for range 3 {
			events, err := ticks.Call(t.Context(), link, rpc.Void{})
			require.NoError(t, err)
			open = append(open, events)
		}
		_, err := ticks.Call(t.Context(), link, rpc.Void{})
		require.Equal(t, rpc.CodeTooManyRequests, rpc.CodeOf(err))
		require.NoError(t, open[0].Close())
		synctest.Wait()
		open[0], err = ticks.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		for _, events := range open {
			require.NoError(t, events.Close())
		}
	})
}

// The messages of calls that wait or run are bounded. Beyond that nothing is read, and the
// client's silence does not count.
func TestHandlerMaxPendingBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		_, client := hostRouter(t, blockedRouter(b), &websocket.HandlerOptions{MaxPendingBytes: 100_000, MaxCalls: 2})
		conn := dialRaw(t, client)
		var list []string
		for i := range 20 {
			list = append(list, fmt.Sprintf(`{"i":%d,"p":{"u":"/nested/ping","pad":"%s"}}`, i, strings.Repeat("x", 20_000)))
		}
		var sent atomic.Int64
		go func() {
			for _, m := range list {
				sent.Add(int64(sendAll(conn, m)))
			}
		}()
		time.Sleep(time.Hour)
		require.LessOrEqual(t, sent.Load(), int64(5), "four are held, and the reader has one")
		require.Len(t, b.started, 2)
		close(b.release)
		for range list {
			_, _, err := conn.Read(t.Context())
			require.NoError(t, err)
		}
		require.Len(t, b.started, len(list), "none was refused")
	})
}

// After the decision to close no call is run, although messages are waiting.
func TestHandlerRunsNothingAfterAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atOnce
		big := rpc.Define[rpc.Void, string]("big")
		_, client := hostRouter(t, rpc.NewRouter(big.Handler(func(context.Context, rpc.Void) (string, error) {
			defer running.enter()()
			return strings.Repeat("x", 10_000), nil
		})), &websocket.HandlerOptions{MaxUnsentBytes: 50_000, MaxCalls: 4})
		conn := dialRaw(t, client)
		go sendAll(conn, requests("big", 100_000)...)
		time.Sleep(9 * time.Second)
		ran := running.ever.Load()
		require.Less(t, ran, int64(20))
		time.Sleep(time.Minute)
		require.Equal(t, ran, running.ever.Load())
		require.Error(t, conn.Write(t.Context(), coder.MessageText, []byte(`{}`)))
	})
}
