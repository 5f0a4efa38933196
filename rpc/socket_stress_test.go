package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// stressInput asks for an answer of a size after a while.
type stressInput struct {
	N    int `json:"n"`
	Size int `json:"size"`
	Wait int `json:"wait"` // milliseconds
}

type stressOutput struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

var stress = rpc.Define[stressInput, stressOutput]("stress")

func stressRouter() *rpc.Router {
	return rpc.NewRouter(stress.Handler(func(ctx context.Context, in stressInput) (stressOutput, error) {
		select {
		case <-time.After(time.Duration(in.Wait) * time.Millisecond):
		case <-ctx.Done():
			return stressOutput{}, ctx.Err()
		}
		if in.N%10 == 3 {
			return stressOutput{}, &rpc.Error{Code: rpc.CodeConflict, Data: in.N}
		}
		return stressOutput{N: in.N, Text: strings.Repeat("x", in.Size)}, nil
	}))
}

// checkStress makes one call and returns an error if its answer is wrong. A call whose
// context has ended may still have been answered in time.
func checkStress(ctx context.Context, c rpc.Caller, in stressInput) error {
	out, err := stress.Call(ctx, c, in)
	n, dataErr := rpc.ErrorData[int](err)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case in.N%10 == 3 && (dataErr != nil || n != in.N):
		return fmt.Errorf("call %d should have failed with its number: %w", in.N, err)
	case in.N%10 != 3 && err != nil:
		return fmt.Errorf("call %d: %w", in.N, err)
	case in.N%10 != 3 && (out.N != in.N || len(out.Text) != in.Size):
		return fmt.Errorf("call %d got the answer of %d", in.N, out.N)
	}
	return nil
}

// Ten thousand calls, 200 at a time, of all sizes, some of them aborted: each caller gets
// its own answer, and nothing stays running, which would keep the bubble from ending.
func TestPeersUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls, atOnce = 10_000, 200
		client, _ := connect(t, transport.ServerPeerOptions{Handle: routed(stressRouter()), MaxCalls: 2 * atOnce}, transport.ClientPeerOptions{})
		var callers sync.WaitGroup
		for caller := range atOnce {
			callers.Go(func() {
				rnd := rand.New(rand.NewPCG(1, uint64(caller)))
				for n := caller; n < calls; n += atOnce {
					in := stressInput{N: n, Size: rnd.IntN(100), Wait: rnd.IntN(20)}
					if rnd.IntN(50) == 0 {
						in.Size = rnd.IntN(100_000)
					}
					ctx, cancel := context.WithCancel(t.Context())
					if rnd.IntN(5) == 0 {
						time.AfterFunc(time.Duration(rnd.IntN(25))*time.Millisecond, cancel)
					}
					if err := checkStress(ctx, client, in); err != nil {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Second) // aborted handlers return

		// An id that was not freed would count against the limit.
		for n := range 2 * atOnce {
			callers.Go(func() {
				if err := checkStress(t.Context(), client, stressInput{N: n * 10, Wait: 1000}); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	})
}

func TestPeersLoseTheSocketUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := connect(t, transport.ServerPeerOptions{Handle: routed(stressRouter())}, transport.ClientPeerOptions{})
		done := make(chan error, 100)
		for n := range cap(done) {
			go func() {
				_, err := stress.Call(t.Context(), client, stressInput{N: n * 10, Wait: n})
				done <- err
			}()
		}
		time.Sleep(50*time.Millisecond + time.Microsecond)
		client.Disconnect(nil)
		answered := 0
		for range cap(done) {
			if err := <-done; err == nil {
				answered++
			} else {
				require.ErrorIs(t, err, rpc.ErrDisconnected)
			}
		}
		require.Equal(t, 51, answered)
		require.NoError(t, checkStress(t.Context(), client, stressInput{N: 1}))
	})
}

func TestPeersCarryNativeTypes(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)
	address, err := url.Parse("https://a.b/?q=1")
	require.NoError(t, err)
	for name, given := range map[string]any{
		"null": nil, "text": "é\x00\u2028", "number": 1.5, "time": at, "bigint": new(big.Int).Lsh(big.NewInt(1), 70),
		"url": address, "regexp": value.RegExp{Source: `a\/b`, Flags: "gi"}, "invalid date": value.InvalidDate{}, "undefined": value.Undefined{},
		"deep": map[string]any{"a": []any{value.Undefined{}, at}, "s": value.Set{"x", at}, "m": value.Map{{Key: at, Value: value.Set{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, _ := connect(t, transport.ServerPeerOptions{Handle: routed(fixtureRouter())}, transport.ClientPeerOptions{})
				out, err := echo.Call(t.Context(), client, given)
				require.NoError(t, err)
				require.Equal(t, given, out)
			})
		})
	}
}

// As in durable objects, the events of a stream are written by other code than the handler.
func TestPeersHibernation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var toClient *wire
		event := func(format string, a ...any) { _ = toClient.send(t.Context(), fmt.Appendf(nil, format, a...), false) }
		client, toClient := connect(t, transport.ServerPeerOptions{Handle: func(context.Context, *rpc.Call) (any, error) {
			return transport.Hibernation{Start: func(_ context.Context, id json.RawMessage, finish func()) {
				event(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":1}}}`, id)
				event(`{"i":%s,"t":3,"p":{"e":"done"}}`, id)
				finish()
			}}, nil
		}}, transport.ClientPeerOptions{})
		var kinds []string
		stop, err := client.Subscribe(t.Context(), &rpc.Call{Path: []string{"subscribe"}},
			func(http.Header) { kinds = append(kinds, "open") },
			func(e transport.PeerEvent) { kinds = append(kinds, e.Kind) })
		require.NoError(t, err)
		synctest.Wait()
		stop()
		require.Equal(t, []string{"open", "message", "done"}, kinds)
	})
}
