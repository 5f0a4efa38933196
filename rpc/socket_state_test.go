package rpc_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

func TestServerPeerSendSeesTheStateOfTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []any
		p, _ := newServer(t, transport.ServerPeerOptions{
			NewState: func() any { return new(int) },
			Handle: func(ctx context.Context, call *rpc.Call) (any, error) {
				found, ok := rpc.CallOf(ctx)
				require.True(t, ok)
				require.Same(t, call, found)
				*call.State().(*int) = 7
				return 1, nil
			},
			Send: func(ctx context.Context, _ []byte, _ bool) error {
				sent = append(sent, stateOf(ctx))
				return nil
			},
		})
		receive(t, p, `{"i":"1","p":{"u":"/a"}}`)
		synctest.Wait()
		receive(t, p, `{"i":"2"}`)
		require.Len(t, sent, 2)
		require.Equal(t, 7, *sent[0].(*int))
		require.Nil(t, sent[1], "an answer that belongs to no call")
	})
}

func stateOf(ctx context.Context) any {
	if call, ok := rpc.CallOf(ctx); ok {
		return call.State()
	}
	return nil
}

// A call that is made within another one, or replaces it, has the state of the other.
func TestStateOfNestedCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var states []any
		inner := rpc.Define[rpc.Void, rpc.Void]("inner")
		router := rpc.NewRouter(inner.Handler(func(ctx context.Context, _ rpc.Void) (rpc.Void, error) {
			states = append(states, stateOf(ctx))
			return rpc.Void{}, nil
		}))
		p, _ := newServer(t, transport.ServerPeerOptions{
			NewState: func() any { return "state" },
			Handle: func(ctx context.Context, call *rpc.Call) (any, error) {
				if _, err := inner.Call(ctx, router, rpc.Void{}); err != nil {
					return nil, err
				}
				return router.Serve(ctx, &rpc.Call{Path: call.Path, Input: call.Input})
			},
		})
		receive(t, p, `{"i":"1","p":{"u":"/inner"}}`)
		synctest.Wait()
		require.Equal(t, []any{"state", "state"}, states)
	})
}
