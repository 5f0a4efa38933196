//go:build !js

package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestSubscribeNeedsThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		link := rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{HTTPClient: b.server.Client()})
		_, err := client.Subscribe(t.Context(), link, onNumber, listenInput{})
		require.ErrorIs(t, err, client.ErrNoPlugin)
	})
}

// TestTokensOfAProcedure: without Subscribe, the plugin leaves a link alone.
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

// TestDeadlinesOfInterceptors: what bounds a call over HTTP does not bound the iterator.
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
		require.Len(t, paths, 7, "the refresh goes through the link")
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
