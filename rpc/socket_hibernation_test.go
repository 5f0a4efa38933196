package rpc_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

func TestHibernationIsToldOfItsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, p *transport.ServerPeer, finish func()){
		"abort":  func(t *testing.T, p *transport.ServerPeer, _ func()) { t.Helper(); receive(t, p, `{"i":"1","t":4}`) },
		"finish": func(_ *testing.T, _ *transport.ServerPeer, finish func()) { finish() },
		"close":  func(_ *testing.T, p *transport.ServerPeer, _ func()) { p.Close() },
	} {
		for when, early := range map[string]bool{"while it starts": true, "later": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var (
						p      *transport.ServerPeer
						stream opened
						ends   int
					)
					p, _ = newServer(t, transport.ServerPeerOptions{
						Handle: func(context.Context, *rpc.Call) (any, error) {
							return transport.Hibernation{
								Start: func(ctx context.Context, id json.RawMessage, finish func()) {
									if stream = (opened{ctx, id, finish}); early {
										end(t, p, finish)
										require.Zero(t, ends, "comes behind Start")
									}
								},
								Ended: func() {
									ends++
								},
							}, nil
						},
						Send: func(context.Context, []byte, bool) error { return nil },
					})
					receive(t, p, `{"i":"1","p":{"u":"/subscribe"}}`)
					synctest.Wait()
					if !early {
						require.Zero(t, ends)
						end(t, p, stream.finish)
					}
					synctest.Wait()
					require.Equal(t, 1, ends)
					require.Error(t, stream.ctx.Err())
					stream.finish()
					p.Close()
					p.Wait()
					require.Equal(t, 1, ends, "once")
				})
			})
		}
	}
}
