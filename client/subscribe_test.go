//go:build !js

package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

func TestSubscribeNeedsThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		link := rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{HTTPClient: b.server.Client()})
		_, err := client.Subscribe(t.Context(), link, onNumber, listenInput{})
		require.ErrorIs(t, err, client.ErrNoPlugin)
	})
}

// Without Subscribe, the plugin does not change the calls of a link.
func TestTokensOfAProcedure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		link := b.link()
		it, err := client.Dial[int](t.Context(), client.TokenFunc(func(ctx context.Context) (string, error) {
			return onNumber.Procedure().Call(ctx, link, listenInput{})
		}), &client.Options{URL: "ws://memory/room", HTTPClient: b.server.Client()})
		require.NoError(t, err)
		b.publish(1)
		readNumbers(t, it, 1)
		require.NoError(t, it.Close())
	})
}

func TestErrorsOfTheProcedureAreReturned(t *testing.T) {
	denied := rpc.Errorf(rpc.CodeForbidden, "not you")
	link := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { return nil, denied })
	_, err := client.Subscribe(t.Context(), link, onNumber, listenInput{})
	require.Equal(t, error(denied), err)
}

// A deadline that an interceptor sets for a call over HTTP does not end the iterator.
func TestDeadlinesOfInterceptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		var paths []string
		link := rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{
			HTTPClient: b.server.Client(),
			Interceptors: []rpc.Interceptor{func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
				paths = append(paths, call.Path[0])
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				return next(ctx, call)
			}},
			Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: "ws://memory/room", RefreshTokenBeforeExpire: time.Minute}},
		})
		it, err := client.Subscribe(t.Context(), link, onNumber, listenInput{Life: 10 * time.Minute, Tags: []string{"a"}})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, client.StateLive, it.State())
		require.Equal(t, []string{"a"}, it.Token().Tags, "the refresh has the same input")
		require.Len(t, paths, 7, "the refresh uses the link")
		require.NoError(t, it.Close())
	})
}

func TestLinkPluginTakesOverFromTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type secretNumber int
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		link := rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{
			HTTPClient: b.server.Client(),
			Serializers: []value.Serializer{value.JSONSerializer(21,
				func(n secretNumber) (any, error) { return int(n) + 1, nil },
				func(any) (secretNumber, error) { return 0, errors.New("not read here") })},
			Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: "ws://memory/room"}},
		})
		it, err := client.Subscribe(t.Context(), link, onNumber, listenInput{})
		require.NoError(t, err)
		_, err = rpc.Define[secretNumber, rpc.Void]("publish").Call(t.Context(), it, 41)
		require.NoError(t, err)
		readNumbers(t, it, 42)
		require.NoError(t, it.Close())
	})
}

func TestPluginsOfTheIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		started := 0
		plugin := pluginFunc(func(o *rpc.LinkOptions) {
			o.Interceptors = append(o.Interceptors, rpc.OnStart(func(context.Context, *rpc.Call) { started++ }))
		})
		it := b.subscribe(listenInput{}, b.link(func(p *client.LinkPlugin) { p.Plugins = []rpc.LinkPlugin{plugin} }))
		_, err := ping.Call(t.Context(), it, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, 1, started)
	})
}

type pluginFunc func(o *rpc.LinkOptions)

func (f pluginFunc) InitLink(o *rpc.LinkOptions) { f(o) }

func TestSubscribeAfterTheContextHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		// The answer arrives, and then the context ends before there is a socket.
		link := b.link(func(p *client.LinkPlugin) {
			p.HTTPClient = &http.Client{Transport: cancelling{cancel}}
		})
		_, err := client.Subscribe(ctx, link, onNumber, listenInput{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// cancelling ends a context instead of sending requests.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	c.cancel()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// The caller reads the header while tokens are refreshed: it is that of the first answer.
func TestResponseHeaderIsThatOfTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		var header http.Header
		b.subscribe(listenInput{Life: time.Minute}, b.link(func(p *client.LinkPlugin) {
			p.RefreshTokenBeforeExpire = 30 * time.Second
		}), rpc.WithResponseHeader(&header))
		first := header
		require.NotEmpty(t, first.Get("Content-Type"))
		header = nil
		time.Sleep(10 * time.Minute)
		require.Greater(t, b.calls.Load(), int32(10))
		require.Nil(t, header, "a refresh has stored its own")
	})
}

// outage is a verifier that depends on a key service, which may be down.
type outage struct {
	token.Secret
	down atomic.Bool
}

func (o *outage) Verify(ctx context.Context, tok string) (*token.Payload, error) {
	if o.down.Load() {
		return nil, errors.New("key service: connection refused")
	}
	return o.Secret.Verify(ctx, tok)
}

// A server that cannot verify tokens for a while ends no iterator.
func TestKeyServiceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		verifier := &outage{Secret: secret}
		b := newBackend(t, durableobject.Options{Verifier: verifier, ResumeRetention: time.Hour})
		it := b.subscribe(listenInput{Life: time.Hour}, b.link(func(p *client.LinkPlugin) {
			p.RefreshTokenBeforeExpire = 10 * time.Minute
		}))
		verifier.down.Store(true)
		b.server.Cut()
		b.publish(1)
		time.Sleep(time.Minute)
		require.NotEqual(t, client.StateLive, it.State())
		verifier.down.Store(false)
		readNumbers(t, it, 1)
		time.Sleep(45 * time.Minute) // it was issued an hour ago less that minute
		verifier.down.Store(true)
		time.Sleep(8 * time.Minute)
		require.Equal(t, client.StateLive, it.State(), "its token is good for two minutes more")
		b.publish(2)
		readNumbers(t, it, 2)
		verifier.down.Store(false)
		time.Sleep(time.Hour)
		b.publish(3)
		readNumbers(t, it, 3)
	})
}

// A server that accepts the connection and never answers does not block Dial or Subscribe
// forever.
func TestFirstFetchHasADeadline(t *testing.T) {
	t.Parallel()
	hanging := client.TokenFunc(func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", context.Cause(ctx)
	})
	for name, begin := range map[string]func(ctx context.Context, opts ...rpc.CallOption) error{
		"Dial": func(ctx context.Context, opts ...rpc.CallOption) error {
			_, err := client.Dial[string](ctx, hanging, &client.Options{URL: "ws://memory", DialTimeout: time.Minute}, opts...)
			return err
		},
		"Subscribe": func(ctx context.Context, opts ...rpc.CallOption) error {
			link := rpc.NewLink("http://memory/rpc", &rpc.LinkOptions{
				HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					_, err := hanging.Token(r.Context())
					return nil, err
				})},
				Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: "ws://memory", DialTimeout: time.Minute}},
			})
			_, err := client.Subscribe(ctx, link, onNumber, listenInput{}, opts...)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				require.ErrorIs(t, begin(t.Context()), context.DeadlineExceeded)
				require.Equal(t, time.Minute, time.Since(start))
				if name == "Dial" {
					start = time.Now()
					retry := rpc.Retry{Max: 1, Delay: func(int, error) time.Duration { return time.Second }}
					require.ErrorIs(t, begin(t.Context(), retry), context.DeadlineExceeded)
					require.Equal(t, 2*time.Minute+time.Second, time.Since(start))
				}
			})
		})
	}
}
