//go:build !js

package client_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The tests of this file run against the real server.

type listenInput struct {
	Tags []string      `json:"tags"`
	Life time.Duration `json:"life"`
}

var (
	secret   = token.Secret("secret-key")
	onNumber = durableiterator.Define[listenInput, int]("onNumber")
	publish  = rpc.Define[int, rpc.Void]("publish")
	ping     = rpc.DefineIn[rpc.Void, string](rpc.Group("group"), "ping")
)

type room struct {
	*durableobject.Object[int]
	snapshot bool
}

func (r *room) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	if !r.snapshot {
		return nil
	}
	return ws.Send(ctx, -1)
}

func (r *room) Publish(ctx context.Context, _ *durableobject.Websocket, n int) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, n)
}

func (r *room) Ping(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return "pong", nil
}

// backend is a whole server, and a link to it.
type backend struct {
	t        *testing.T
	options  durableobject.Options
	snapshot bool
	rooms    atomic.Pointer[durableobject.Namespace[*room]]
	server   *memhttp.Server
	calls    atomic.Int32 // of the procedure
}

func newBackend(t *testing.T, o durableobject.Options) *backend {
	b := &backend{t: t, options: o}
	if b.options.Verifier == nil {
		b.options.Verifier = secret
	}
	b.restart()
	router := rpc.NewRouter(onNumber.Handler(func(_ context.Context, in listenInput) (*durableiterator.Subscription[int], error) {
		b.calls.Add(1)
		return durableiterator.New[int]("room", &durableiterator.Options{Tags: in.Tags, TokenTTL: in.Life}).RPC(publish, rpc.Group("group")), nil
	}))
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix:  "/rpc",
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: secret}},
	}))
	mux.HandleFunc("/room", func(w http.ResponseWriter, r *http.Request) {
		durableobject.NewHandler(b.rooms.Load(), nil).ServeHTTP(w, r)
	})
	b.server = memhttp.NewServer(mux)
	t.Cleanup(func() {
		require.NoError(t, b.rooms.Load().Shutdown(context.Background()))
		b.server.Close()
	})
	return b
}

// restart shuts down the server, if there is one, and starts another one.
func (b *backend) restart() {
	if old := b.rooms.Load(); old != nil {
		require.NoError(b.t, old.Shutdown(context.Background()))
	}
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*room, error) {
		return &room{o, b.snapshot}, nil
	}, &b.options)
	durableobject.Handle(rooms, publish, (*room).Publish)
	durableobject.Handle(rooms, ping, (*room).Ping)
	b.rooms.Store(rooms)
}

func (b *backend) publish(n int, opts ...durableobject.PublishOption) {
	b.t.Helper()
	hub, err := b.rooms.Load().Get(context.Background(), "room")
	require.NoError(b.t, err)
	require.NoError(b.t, hub.PublishEvent(context.Background(), n, opts...))
}

func (b *backend) link(change ...func(*client.LinkPlugin)) *rpc.Link {
	plugin := &client.LinkPlugin{URL: b.server.URL() + "/room"}
	for _, c := range change {
		c(plugin)
	}
	return rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{
		HTTPClient: b.server.Client(),
		Plugins:    []rpc.LinkPlugin{plugin},
	})
}

func (b *backend) subscribe(in listenInput, link *rpc.Link, opts ...rpc.CallOption) *client.Iterator[int] {
	b.t.Helper()
	it, err := client.Subscribe(b.t.Context(), link, onNumber, in, opts...)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, it.Close()) })
	return it
}

// readNumbers reads as many items as wanted. A gap is 0.
func readNumbers(t *testing.T, it *client.Iterator[int], want ...int) {
	t.Helper()
	got := []int{}
	if len(want) == 0 {
		return
	}
	for event, err := range it.Events() {
		n := event.Data
		if err != nil {
			require.ErrorIs(t, err, client.ErrGap)
			n = 0
		}
		if got = append(got, n); len(got) == len(want) {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestEndToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{}, b.link())
		_, err := publish.Call(t.Context(), it, 1)
		require.NoError(t, err)
		text, err := ping.Call(t.Context(), it, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, "pong", text)
		readNumbers(t, it, 1)
		b.server.Cut()
		b.publish(2)
		b.publish(3)
		readNumbers(t, it, 2, 3)
	})
}

// These are the events that the original loses.
func TestNothingIsLostBeforeTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{}, b.link())
		b.server.Cut()
		b.publish(1)
		readNumbers(t, it, 1)
	})
}

func TestAnotherProcessGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{}, b.link())
		for n := 1; n <= 4; n++ {
			b.publish(n)
		}
		readNumbers(t, it, 1, 2)
		last := it.LastEventID()
		require.NoError(t, it.Close())
		readNumbers(t, b.subscribe(listenInput{}, b.link(), rpc.WithLastEventID(last)), 3, 4)
	})
}

func TestAwayForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{}, b.link())
		b.publish(1)
		readNumbers(t, it, 1)
		b.server.SetDown(true)
		b.server.Cut()
		b.publish(2)
		time.Sleep(50 * time.Second)
		b.publish(3)
		time.Sleep(20 * time.Second)
		b.server.SetDown(false)
		readNumbers(t, it, 0, 3)
	})
}

func TestServerThatKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{})
		it := b.subscribe(listenInput{}, b.link())
		b.publish(1)
		synctest.Wait()
		b.server.Cut()
		synctest.Wait()
		b.publish(2) // no client is connected
		time.Sleep(time.Minute)
		b.publish(3)
		readNumbers(t, it, 1, 0, 3)
	})
}

func TestServerThatStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{}, b.link())
		b.publish(1)
		readNumbers(t, it, 1)
		b.restart() // with another log in memory
		b.publish(2)
		readNumbers(t, it, 0, 2)
	})
}

// A client that receives nothing for longer than the retention has not missed anything.
func TestQuietClientDoesNotAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{Tags: []string{"mine"}}, b.link())
		for n := range 100 {
			b.publish(n, durableobject.WithTags("other"))
			time.Sleep(5 * time.Second)
		}
		b.server.Cut()
		b.publish(1, durableobject.WithTags("mine"))
		readNumbers(t, it, 1)
	})
}

func TestTokenThatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		it := b.subscribe(listenInput{Life: 10 * time.Minute}, b.link())
		for n := 1; n <= 24; n++ {
			time.Sleep(5 * time.Minute)
			b.publish(n)
			readNumbers(t, it, n)
		}
		require.InDelta(t, 13, b.calls.Load(), 1)
	})
}

func TestTokenThatIsRefreshedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		var live atomic.Int32
		it := b.subscribe(listenInput{Life: 10 * time.Minute}, b.link(func(p *client.LinkPlugin) {
			p.RefreshTokenBeforeExpire = time.Minute
			p.OnStateChange = func(s client.State, _ error) {
				if s == client.StateLive {
					live.Add(1)
				}
			}
		}))
		time.Sleep(2 * time.Hour)
		b.publish(1)
		readNumbers(t, it, 1)
		require.EqualValues(t, 1, live.Load(), "one connection for all that time")
		require.EqualValues(t, 14, b.calls.Load())
	})
}

func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		b.snapshot = true
		b.restart()
		it := b.subscribe(listenInput{}, b.link())
		b.publish(1)
		readNumbers(t, it, -1, 1)
		b.server.Cut()
		b.publish(2)
		readNumbers(t, it, 2, -1)
	})
}

// The test publishes, cuts connections, makes the server unreachable, and reads slowly, at
// random. No event expires, so none may be missing.
func TestEachEventOnceAndInOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const total = 300
				chance := rand.New(rand.NewPCG(seed, 0))
				b := newBackend(t, durableobject.Options{ResumeRetention: 24 * time.Hour})
				size := []int{1, 2, 7, 64, 1024}[chance.IntN(5)]
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Hour)
				defer cancel()
				it, err := client.Subscribe(ctx, b.link(func(p *client.LinkPlugin) {
					p.BufferSize = size
					p.RefreshTokenBeforeExpire = time.Duration(chance.IntN(2)) * 10 * time.Second
				}), onNumber, listenInput{Life: time.Minute})
				require.NoError(t, err)
				var publisher sync.WaitGroup
				defer publisher.Wait()
				publisher.Go(func() { b.publishWithTrouble(total, rand.New(rand.NewPCG(seed, 1))) })
				n := 0
				for got, err := range it.All() {
					require.NoError(t, err, "after %d", n)
					n++
					require.Equal(t, n, got)
					if n == total {
						break
					}
					if chance.IntN(10) == 0 {
						time.Sleep(time.Duration(chance.IntN(3000)) * time.Millisecond)
					}
				}
			})
		})
	}
}

// publishWithTrouble publishes the numbers from 1 to total while the network fails.
func (b *backend) publishWithTrouble(total int, chance *rand.Rand) {
	defer b.server.SetDown(false)
	for n := 1; n <= total; n++ {
		b.publish(n)
		switch chance.IntN(20) {
		case 0:
			b.server.Cut()
		case 1:
			b.server.SetDown(true)
			b.server.Cut()
		case 2, 3, 4:
			b.server.SetDown(false)
		case 5, 6:
			time.Sleep(time.Duration(chance.IntN(20)) * time.Second)
		}
	}
}
