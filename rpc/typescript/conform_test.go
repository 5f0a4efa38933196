//go:build e2e

package typescript_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// Values have the generated types in TypeScript: a script reads the module with the
// compiler, compares each value with its type, and sends it back unchanged. See
// testdata/conform.mjs.
func TestValuesAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	dir := workspace(t)
	require.Equal(t, "ok\n", node(t, dir, "--experimental-websocket", "--no-warnings", "conform.mjs", serve(t)))
}

type (
	kindsRoom   struct{ *durableobject.Object[Kinds] }
	addressRoom struct{ *durableobject.Object[Address] }
)

func (*addressRoom) Say(context.Context, *durableobject.Websocket, string) (rpc.Void, error) {
	return rpc.Void{}, ErrTooLong.New(TooLong{Max: 3})
}

func (*addressRoom) Numbers(_ context.Context, _ *durableobject.Websocket, n int, w *rpc.EventWriter[int]) (string, error) {
	return "done", w.Send(n)
}

func (*kindsRoom) Same(_ context.Context, _ *durableobject.Websocket, in Seeded) (string, error) {
	return difference(newKinds(in.Seed), in.Value)
}

// OnSubscribed sends events.
func (*kindsRoom) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	for seed := range uint64(50) {
		if err := ws.Send(ctx, newKinds(seed)); err != nil {
			return err
		}
	}
	return nil
}

func (*addressRoom) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	return ws.Send(ctx, Address{Street: "Main Street"})
}

// serve runs a server of the contracts, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	key := token.Secret("secret")
	objects := &durableobject.Options{Verifier: key, Serializers: []value.Serializer{money}}
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Kinds]) (*kindsRoom, error) {
		return &kindsRoom{o}, nil
	}, objects)
	streets := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Address]) (*addressRoom, error) {
		return &addressRoom{o}, nil
	}, objects)
	durableobject.Handle(rooms, Same, (*kindsRoom).Same)
	durableobject.Handle(streets, Say, (*addressRoom).Say)
	durableobject.HandleEvents(streets, Numbers, (*addressRoom).Numbers)

	router := rpc.NewRouter(
		Random.Handler(func(_ context.Context, seed uint64) (Kinds, error) { return newKinds(seed), nil }),
		Same.Handler(func(_ context.Context, in Seeded) (string, error) { return difference(newKinds(in.Seed), in.Value) }),
		Find.Handler(func(_ context.Context, id *UserID) ([]Address, error) {
			switch {
			case id == nil:
				return nil, nil
			case *id == "gone":
				return nil, ErrGone.New(rpc.Void{})
			}
			return nil, ErrTooLong.New(TooLong{Max: 9})
		}),
		Upload.Handler(func(_ context.Context, in File) (File, error) { return in, nil }),
		Count.Handler(func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
			return rpc.Void{}, w.Send(1)
		}),
		Import.Handler(func(_ context.Context, in *rpc.Events[Address, Level]) (n int, err error) {
			for a, err := range in.All() {
				if err != nil {
					return 0, err
				}
				n += len(a.Street)
			}
			level, err := in.Result()
			return n + int(level), err
		}),
		OnKinds.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[Kinds], error) {
			return durableiterator.New[Kinds]("kinds", nil).RPC(Same), nil
		}),
		Watch.Handler(func(context.Context, UserID) (*durableiterator.Subscription[Address], error) {
			return durableiterator.New[Address]("streets", nil).RPC(Say, rpc.Group("admin")), nil
		}),
	)
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}}, Serializers: []value.Serializer{money},
	}))
	mux.Handle("/kinds", durableobject.NewHandler(rooms, nil))
	mux.Handle("/streets", durableobject.NewHandler(streets, nil))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, rooms.Shutdown(ctx))
		require.NoError(t, streets.Shutdown(ctx))
		server.Close()
	})
	return server.URL
}
